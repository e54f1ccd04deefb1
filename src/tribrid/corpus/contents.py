"""What a reader makes of a file: a title, a text, and what of the file is not in them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from tribrid.corpus.jsonlines import storable

SOFT_HYPHEN = "\xad"


class Unreadable(Exception):
    """Why a file cannot be read; never leaves `corpus/`."""


class NotStarted(Exception):
    """Why nothing can be read now, whatever the file; never leaves `corpus/`."""


@dataclass(frozen=True, slots=True)
class Contents:
    """What was read of a file.

    Attributes:
        title: empty: the file's name will do.
        losses: what of the file is not in the text, or not as it was; each a sentence's worth.
        links: where it leads, as it is written there, and the text does not say.
    """

    title: str
    text: str
    losses: tuple[str, ...] = ()
    links: tuple[str, ...] = ()

    def tidied(self) -> Contents:
        """The same without what cannot be stored, and without the marks of where a word may break."""
        return replace(self, title=_tidy(self.title).strip(), text=_tidy(self.text))


def _tidy(text: str) -> str:
    return storable(text).replace(SOFT_HYPHEN, "")


def plain_lines(text: str) -> str:
    """The text with every line ending in a line feed alone."""
    return text.replace("\r\n", "\n").replace("\r", "\n")
