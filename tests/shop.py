"""A small shop: products of a name differ in nothing that can be read, and people want the cheapest one in stock."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from tribrid.types import Document, JudgedQuery

NAMES = 56
OF_A_NAME = 6
FIELDS = ["price:number:down", "stock:number:up", "brand:category", "released:date"]
_SYLLABLES = ("ba", "de", "fi", "go", "ku", "la", "me", "ni", "po", "ru", "sa", "te", "vi", "zo")


def names() -> list[str]:
    rng = random.Random(3)
    found: dict[str, None] = {}
    while len(found) < NAMES:
        found["".join(rng.sample(_SYLLABLES, 3)) + " " + "".join(rng.sample(_SYLLABLES, 3))] = None
    return list(found)


def metadata(rng: random.Random, usual: float) -> dict[str, Any]:
    """Of a product; one in eight has no price."""
    found: dict[str, Any] = {
        "stock": rng.choice([0, 0, 1, 5, 40, 900]),
        "brand": rng.choice(["acme", "zeta", "nil"]),
        "released": f"20{rng.randrange(10, 26)}-{rng.randrange(1, 13):02}-01",
    }
    return found if rng.random() < 1 / 8 else {**found, "price": round(usual * rng.uniform(0.4, 2.5), 2)}


def documents() -> list[Document]:
    rng, found = random.Random(4), []
    for name in names():
        usual = 10 ** rng.uniform(0, 4)  # a cable, and a kitchen
        for number in range(OF_A_NAME):
            doc_id = f"{name.replace(' ', '-')}-{number}"
            found.append(Document(doc_id, f"The {name} that you look for.", name, "", metadata(rng, usual)))
    return found


def wanted(products: Mapping[str, Mapping[str, Any]]) -> str:
    """The cheapest in stock; where none is, the cheapest."""
    priced = {doc_id: of for doc_id, of in products.items() if "price" in of} or dict(products)
    there = {doc_id: of for doc_id, of in priced.items() if of["stock"]} or priced
    return min(there, key=lambda doc_id: there[doc_id].get("price", 0))


def queries(first: int, until: int) -> list[JudgedQuery]:
    """Each asks for a name, of those by number, and has all its products judged."""
    asked, own = [], {document.doc_id: document.metadata for document in documents()}
    for name in names()[first:until]:
        products = {doc_id: of for doc_id, of in own.items() if doc_id.startswith(name.replace(" ", "-"))}
        best = wanted(products)
        asked.append(JudgedQuery(f"q-{name}", name, {doc_id: int(doc_id == best) for doc_id in products}))
    return asked
