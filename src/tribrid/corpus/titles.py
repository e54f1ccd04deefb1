"""Which titles are none: what a program left in a file's metadata when nobody gave it one."""

from __future__ import annotations

import re

_OFFICE = "word|excel|powerpoint|publisher|visio|writer|calc|impress|outlook"
_PROGRAM = rf"(?:microsoft|libreoffice|openoffice)(?: office)? (?:{_OFFICE})(?:\s*-.*)?|powerpoint presentation"
_TEXTS, _PICTURES = (
    "docx?|dotx?|rtf|odt|odp|ods|xlsx?|pptx?|pdf|e?ps|tex|dvi|txt|html?|md|tmp",
    "indd|qxd|cdr|tiff?|jpe?g|png",
)
_FILE_NAME = rf".*\.(?:{_TEXTS}|{_PICTURES})"
_NOTHING = (
    "untitled|unbenannt|no title|title|blank|document|dokument|doc|slide|folie|book|mappe|scan(?:ned)?|image|print|"
    "layout|anonymous|unknown|none|null|undefined"
)
_PLACEHOLDER = rf"[(\[<]?(?:{_NOTHING})(?:[ _-]*(?:document|dokument|presentation))?"
_NO_TITLE = re.compile(rf"{_PROGRAM}|{_FILE_NAME}|{_PLACEHOLDER}[\s_-]*\d*[)\]>]?|[\W\d_]*", re.IGNORECASE | re.DOTALL)


def own_title(title: str) -> str:
    """The title on one line; empty where it is none."""
    found = " ".join(title.split())
    return "" if _NO_TITLE.fullmatch(found) else found
