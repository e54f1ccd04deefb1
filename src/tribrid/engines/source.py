"""Which engine an address is of, and whether it may be asked at all. No credential stands in an address: command lines
are seen by everybody on the machine, and kept in files.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import parse_qs, urlsplit

from tribrid.cloud.allowed import check_address
from tribrid.config import Environment
from tribrid.errors import InvalidInput

Record = tuple[int | str | None, Mapping[str, Any]]
"""The id that the engine has for it, if it has one apart, and its fields."""
Records = Iterator[Record]
Kind = Literal["postgresql", "elastic", "qdrant"]

_KINDS: Mapping[str, Kind] = {
    "postgresql": "postgresql",
    "postgres": "postgresql",
    **{f"{engine}+{scheme}": "elastic" for engine in ("opensearch", "elasticsearch") for scheme in ("http", "https")},
    **{f"qdrant+{scheme}": "qdrant" for scheme in ("http", "https")},
}


@dataclass(frozen=True, slots=True)
class Source:
    """Whose records, and which of them.

    Attributes:
        address: for PostgreSQL as libpq takes it; else the engine's http or https address.
        name: of the table, index or collection; of PostgreSQL None where there is a `query`.
        changed: the field that says when a record was last changed.
        since: only records whose `changed` is this or later.
    """

    kind: Kind
    address: str
    name: str | None
    query: str | None = None
    changed: str | None = None
    since: str | None = None


def source_at(
    environment: Environment, address: str, name: str | None, query: str | None, changed: str | None, since: str | None
) -> Source:
    """The source that is meant, checked as far as it can be without asking it.

    Raises:
        InvalidInput: there is no such engine, the address holds a password, its host may not be asked, or it is not
            said what to read.
    """
    kind, url = _parted(address)
    if kind != "postgresql":  # of PostgreSQL libpq says which hosts are meant
        check_address(environment, "pull", "source", url)
    if query is not None and kind != "postgresql":
        raise InvalidInput("query: only PostgreSQL takes one. Name the index or collection.", field="query")
    if (name is None) == (query is None):
        what = "a table, or a query" if kind == "postgresql" else "the index or collection"
        raise InvalidInput(f"Say what to read from {kind}: {what}.", field="name")
    if since is not None and changed is None:
        raise InvalidInput("since: say with `changed` which field holds the time of a record's last change.")
    return Source(kind, url, name, query, changed, since)


def _parted(address: str) -> tuple[Kind, str]:
    try:
        parts = urlsplit(address)
        host, password = parts.hostname, parts.password
    except ValueError:
        raise InvalidInput("The source is no address.", field="source") from None
    kind = _KINDS.get(parts.scheme)
    if kind is None:
        known = ", ".join(f"{scheme}://" for scheme in _KINDS)
        raise InvalidInput(f"The source is an address that begins with one of {known}.", field="source")
    if kind == "postgresql":
        # A password with a slash ends the host's part early: what is left of it stands in the path.
        has_password = password is not None or "@" in parts.path or "password" in parse_qs(parts.query)
        _refuse(has_password, "PGPASSWORD, or put it into ~/.pgpass")
        return kind, address
    _refuse(parts.username is not None, "TRIBRID_PULL_KEY")
    if not host or parts.query or parts.fragment:
        raise InvalidInput("The source is an address such as opensearch+https://search.example:9200.", field="source")
    return kind, address.partition("+")[2].rstrip("/")


def _refuse(has_secret: bool, variable: str) -> None:
    if has_secret:
        raise InvalidInput(f"A password does not belong into an address: give it by {variable}.", field="source")
