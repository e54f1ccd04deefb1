"""Which documents are meant by what a text names: an address, a path, a module, or something that is called.

Read strictly. What names nothing in the corpus is no edge, and neither is a name that many documents have.
"""

from __future__ import annotations

import posixpath
from collections import defaultdict
from collections.abc import Iterable, Mapping

from tribrid.types.edges import Mention

PART = ("#", ":")
"""What stands between a whole and its part in a doc_id. After one of them a dot does too: `file.py:Class.method`."""
MOST_NAMESAKES = 3
"""A name that so many documents have may still be told by it alone; of each it is said with half of what it counts."""
_HALF = 0.5
_PYTHON = (".py", ".pyi")
_INDEX = ("index.md", "README.md", "index.html")
_ENDINGS = ("", ".md", ".html", ".js", ".jsx", ".ts", ".tsx", "/index.js", "/index.ts")

Meant = tuple[int, float]
"""A document by number, and how sure it is that it is meant, up to 1."""


def whole_of(name: str) -> str:
    """What a doc_id or an address names a part of; empty where it names a whole."""
    start = name.find("://") + 3 if "://" in name else 0
    found = [at for mark in PART if (at := name.find(mark, start)) > 0]
    return name[: min(found)] if found else ""


def parent_of(doc_id: str, number_of: Mapping[str, int]) -> int | None:
    """The smallest document of which this one is a part, by its id."""
    least = len(whole_of(doc_id))
    for at in range(len(doc_id) - 1, least - 1, -1) if least else ():
        if doc_id[at] in (*PART, ".") and doc_id[:at] in number_of:
            return number_of[doc_id[:at]]
    return None


class Names:
    """The documents of a corpus by all that they may be called."""

    def __init__(self, documents: Iterable[tuple[str, str]]) -> None:
        """From each document's doc_id and uri, in the order of their numbers."""
        self.number_of: dict[str, int] = {}
        self._uris: dict[str, int] = {}
        self._wholes: list[str] = []
        self._defined: defaultdict[str, list[int]] = defaultdict(list)
        self._modules: dict[str, str] = {}
        self._nested: dict[str, str] = {}
        for number, (doc_id, uri) in enumerate(documents):
            self.number_of[doc_id] = number
            if uri:
                self._uris.setdefault(uri, number)
            path, _, part = doc_id.partition(":")
            self._wholes.append(path)
            if path.endswith(_PYTHON):
                self._note_module(path)
                self._defined[part.rpartition(".")[2]].append(number)

    def meant(self, number: int, mention: Mention) -> list[Meant]:
        """What the document of this number means by it; empty: nothing that is here."""
        if mention.kind == "call":
            return self._called(number, mention.target)
        found = self._page(mention.target) if mention.kind == "link" else self._imported(mention.target)
        return [] if found is None else [(found, 1.0)]

    def _page(self, target: str) -> int | None:
        page = target.partition("#")[0]
        for name in (target, page):
            if name in self._uris:
                return self._uris[name]
        paths = (target, page, f"{page}.md", *(posixpath.join(page, index) for index in _INDEX))
        return next((self.number_of[path] for path in paths if path in self.number_of), None)

    def _imported(self, target: str) -> int | None:
        """A module, or what is taken from one; of a script, a path without its ending."""
        module, _, name = target.rpartition(".")
        inside = f"{self._module(module)}:{name}"
        paths = (self._module(target), inside, self._module(module), *(f"{target}{end}" for end in _ENDINGS))
        return next((self.number_of[path] for path in paths if path in self.number_of), None)

    def _called(self, number: int, target: str) -> list[Meant]:
        owner, _, name = target.rpartition(".")
        beside = self.number_of.get(f"{self._wholes[number]}:{target}")
        inside = self.number_of.get(f"{self._module(owner)}:{name}")
        if beside is not None or inside is not None:
            return [(found, 1.0) for found in (beside, inside) if found is not None][:1]
        there = self._defined.get(name, []) if name else []
        return [(other, _HALF / len(there)) for other in there] if len(there) <= MOST_NAMESAKES else []

    def _note_module(self, path: str) -> None:
        """Under its name from the root, and from any folder on, unless two are called so."""
        folders = path.rpartition(".")[0].removesuffix("/__init__").split("/")
        self._modules[".".join(folders)] = path
        for start in range(1, len(folders)):
            name = ".".join(folders[start:])
            self._nested[name] = path if self._nested.get(name, path) == path else ""

    def _module(self, name: str) -> str:
        """The path of a module; empty where there is none, or one cannot tell which."""
        return self._modules.get(name) or self._nested.get(name, "")
