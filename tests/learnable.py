"""A small corpus on which an order can be learned: every document has two others with the same words in another
order, and a query quotes one of the three. Neither leg of the first stage can tell them apart; adjacent words do.
"""

from __future__ import annotations

import random

from tribrid.types import Document, JudgedQuery

SETS = 27
ORDERS = 3
_SYLLABLES = ("ba", "de", "fi", "go", "ku", "la", "me", "ni", "po", "ru", "sa", "te", "vi", "zo")
_RNG = random.Random(5)
WORDS = sorted({"".join(_RNG.sample(_SYLLABLES, 2)) for _ in range(400)})[:120]


def documents() -> list[Document]:
    rng = random.Random(1)
    found = []
    for number in range(SETS):
        words = rng.sample(WORDS, 12)
        for order in range(ORDERS):
            text = " ".join(rng.sample(words, len(words)))
            found.append(Document(f"d{number * ORDERS + order:03}", text, f"Note {number}"))
    return found


def queries(prefix: str, count: int, seed: int) -> list[JudgedQuery]:
    """Each quotes three words of the one document that it asks for."""
    rng, found = random.Random(seed), documents()
    asked = []
    for i in range(count):
        document = rng.choice(found)
        words, at = document.text.split(), rng.randrange(9)
        asked.append(JudgedQuery(f"{prefix}{i}", " ".join(words[at : at + 3]), {document.doc_id: 1}))
    return asked
