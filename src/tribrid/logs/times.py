"""Times as logs write them. A form in which day and month could be exchanged is none."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from tribrid.errors import InvalidInput

_UTC = re.compile(r" ?(?:utc|gmt|z)$", re.IGNORECASE)
_OFFSET = re.compile(r" +(?=[+-]\d\d:?\d\d$)")
_SLASHES = re.compile(r"^(\d{4})/(\d\d)/(\d\d)(?=$|[ T])")
# 15/Jan/2024:10:00:00 +0000, as web servers write it, and Mon, 15 Jan 2024 10:00:00 GMT, as mails and HTTP do.
_NAMED_MONTH = re.compile(
    r"\[?(?:[a-z]{3}, ?)?(\d{1,2}[ /-][a-z]{3}[ /-]\d{4})[ :](\d\d:\d\d(?::\d\d)?)( (?:[+-]\d{4}|utc|gmt|z))?\]?",
    re.IGNORECASE,
)


_SPAN = re.compile(r"(\d{1,5})\s*([hdw])")
_UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}


def span(text: str) -> timedelta:
    """How long "36h", "14d" or "2w" is.

    Raises:
        InvalidInput: it is none of these, or nothing at all.
    """
    found = _SPAN.fullmatch(text.strip().lower())
    if found is None or not int(found[1]):
        raise InvalidInput(f"last: {text[:20]!r} is no span of time such as 36h, 14d or 2w.", field="last")
    return int(found[1]) * _UNITS[found[2]]


def moment(text: str) -> datetime:
    """The time that a text says; UTC where it names no other.

    Raises:
        ValueError: it is none.
    """
    text = text.strip()
    named = _NAMED_MONTH.fullmatch(text)
    if named is not None:
        day = re.sub("[/-]", " ", named[1])
        found = parsedate_to_datetime(f"{day} {named[2]}{named[3] or ''}")
    else:
        plain = _OFFSET.sub("", _UTC.sub("+00:00", _SLASHES.sub(r"\1-\2-\3", text)))
        found = datetime.fromisoformat(plain)
    return found if found.tzinfo else found.replace(tzinfo=UTC)
