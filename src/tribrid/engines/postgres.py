"""The rows of a PostgreSQL table or query, as one moment has them: a read-only transaction, a cursor on the server."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from tribrid.cloud.allowed import check_address, never_asked
from tribrid.config import Environment
from tribrid.engines.source import Records, Source
from tribrid.errors import InvalidInput, MissingExtra, Unavailable

CONNECT_TIMEOUT_S = 10
_ROWS_AT_ONCE = 500


def rows(source: Source, environment: Environment, wanted: Sequence[str]) -> Records:
    """Every row, as it is asked for.

    Args:
        wanted: columns that must be there.

    Raises:
        MissingExtra: psycopg is not installed.
        InvalidInput: the server may not be asked, or refuses the statement, or a column is not there.
        Unavailable: the server cannot be reached, or hangs up.
    """
    try:
        import psycopg
        from psycopg.conninfo import conninfo_to_dict
        from psycopg.rows import dict_row
    except ImportError:
        raise MissingExtra("psycopg", "postgres", "Reading PostgreSQL") from None
    with _mapped(psycopg):
        place = conninfo_to_dict(source.address)
        judged = _judged(environment, place)
        with psycopg.connect(
            **{"connect_timeout": CONNECT_TIMEOUT_S, "application_name": "tribrid", **place, **judged},  # type: ignore[arg-type]
            row_factory=dict_row,
        ) as connection:
            connection.read_only = True
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            with connection.cursor(name="tribrid_pull") as cursor:
                cursor.itersize = _ROWS_AT_ONCE
                cursor.execute(_statement(source), None if source.since is None else (source.since,))
                _check_columns([column.name for column in cursor.description or ()], wanted)
                for row in cursor:
                    yield None, row


def _judged(environment: Environment, place: Mapping[str, Any]) -> dict[str, str]:
    """The addresses that were judged are those that are connected to.

    Raises:
        InvalidInput: one may not be asked.
        Unavailable: a name has no address.
    """
    hosts, given = _hosts(place.get("host")), _hosts(place.get("hostaddr"))
    for host in [*hosts, *given]:
        check_address(environment, "pull", "source", f"postgresql://{f'[{host}]' if ':' in host else host}")
    if given or not hosts:
        return {}
    if len(hosts) > 1:
        raise InvalidInput("pull: name one host.", field="source")
    addresses = _addresses(hosts[0])
    # libpq takes as many hosts as addresses, and tries one after the other.
    return {"host": ",".join(hosts * len(addresses)), "hostaddr": ",".join(addresses)}


def _hosts(named: str | None) -> list[str]:
    """Those that are reached over a network: the others are sockets' folders."""
    return [host for host in (named or "").split(",") if host and host[0] not in "/@"]


def _addresses(host: str) -> list[str]:
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        raise Unavailable(f"pull: {host} has no address.") from None
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    if any(never_asked(ipaddress.ip_address(address)) for address in addresses):
        raise InvalidInput(f"pull: {host} leads to a link-local address or a metadata service.", field="source")
    return addresses


def _statement(source: Source) -> Any:
    from psycopg import sql

    of: sql.Composable
    if source.name is not None:
        of = sql.Identifier(*source.name.split("."))
    else:
        of = sql.SQL("(\n{}\n)").format(sql.SQL(str(source.query).rstrip().rstrip(";")))
    every = sql.SQL("SELECT * FROM {} AS pulled").format(of)
    if source.since is None:
        return every
    changed = sql.Identifier("pulled", str(source.changed))
    return sql.SQL("{} WHERE {} >= {}").format(every, changed, sql.Placeholder())


def _check_columns(found: Sequence[str], wanted: Sequence[str]) -> None:
    missing = [name for name in wanted if name not in found and name.partition(".")[0] not in found]
    if missing:
        raise InvalidInput(f"There is no column {missing[0]!r} among {', '.join(found)}.", field=missing[0])


@contextmanager
def _mapped(psycopg: Any) -> Iterator[None]:
    """The driver's errors as ours, by their first lines: further ones can quote values."""
    try:
        yield
    except (psycopg.OperationalError, psycopg.InterfaceError) as error:
        raise Unavailable(f"pull: PostgreSQL cannot be read: {_first_line(error)}") from error
    except psycopg.Error as error:
        raise InvalidInput(f"pull: PostgreSQL refuses: {_first_line(error)}", field="source") from error


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
