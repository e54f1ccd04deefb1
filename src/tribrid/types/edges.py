"""What a document says of others, before anybody knows which documents those are."""

from __future__ import annotations

from typing import Literal, NamedTuple

MentionKind = Literal["link", "import", "call"]
EdgeKind = Literal["link", "import", "call", "parent", "sibling", "good_for"]


class Mention(NamedTuple):
    """What a document's text names.

    Attributes:
        kind: how.
        target: an address or a path from the corpus's root; a module, dotted; or what is called, dotted.
        weight: how much it counts, above 0.
    """

    kind: MentionKind
    target: str
    weight: float = 1.0
