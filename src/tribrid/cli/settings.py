"""`tribrid config`: the settings, shown as they can be typed, and changed."""

from __future__ import annotations

import fnmatch
import shlex
from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer
from rich.console import RenderableType

from tribrid.cli.assignments import assignable, assignment
from tribrid.cli.command import Session
from tribrid.cli.library import library
from tribrid.cli.terminal import Verbatim, indented
from tribrid.errors import InvalidInput

if TYPE_CHECKING:
    from tribrid.answers.settings import AllSettings

Overrides: TypeAlias = dict[str, dict[str, Any]]
"""Section → setting → value; None takes one back."""
_WILD = frozenset("*?[")


def config(
    session: Session,
    settings: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="CORPUS|PATTERN|SECTION.FIELD=VALUE",
            help="A corpus (else all); which settings to show, such as 'reranking.*'; and what to set.",
        ),
    ] = None,
    *,
    unset: Annotated[
        list[str] | None, typer.Option(metavar="SECTION.FIELD", help="Back to the value it had; can be given again.")
    ] = None,
) -> None:
    """Show or change the settings: each as it can be typed, with where its value comes from."""
    assigned, words = _parted(settings or [])
    asked, corpus_id = _named(words)
    overrides = _overrides(assigned, unset or [])
    found = _found(session, corpus_id, overrides)
    seen = _only(found, asked | _names(overrides))
    session.terminal.result(seen if asked else found, *_lines(seen))


def _parted(given: Sequence[str]) -> tuple[list[str], list[str]]:
    """What is to be set, and the other words."""
    assigned = [text for text in given if "=" in text]
    return assigned, [text for text in given if "=" not in text]


def _names(overrides: Overrides) -> set[str]:
    return {f"{section}.{field}" for section, fields in overrides.items() for field in fields}


def _found(session: Session, corpus_id: str | None, overrides: Overrides) -> AllSettings:
    with library(session) as tribrid:
        whose = tribrid if corpus_id is None else tribrid.corpus(corpus_id)
        return whose.patch_settings(overrides) if overrides else whose.settings()


def _named(words: Sequence[str]) -> tuple[set[str], str | None]:
    """The settings that the words name, by name or by pattern; and the word that names a corpus.

    Raises:
        InvalidInput: a pattern names none, or there are two words for a corpus.
    """
    # Slow to import (see tribrid.cli).
    from tribrid.config import Config

    known = [f"{section}.{field}" for section, fields in Config() for field in type(fields).model_fields]
    found: set[str] = set()
    others: list[str] = []
    for word in words:
        named = fnmatch.filter(known, word)
        found.update(named)
        others.extend([] if named else [word])
    if others and _WILD & set(others[0]):
        raise InvalidInput(f"No setting is called {others[0]!r}: `tribrid config` lists them all.", setting=others[0])
    if len(others) > 1:
        raise InvalidInput(
            f"{others[1]!r} is neither the one corpus, nor a setting, a pattern or SECTION.FIELD=VALUE.",
            given=others[1],
        )
    return found, next(iter(others), None)


def _overrides(assigned: Sequence[str], unset: Sequence[str]) -> Overrides:
    overrides: Overrides = {}
    for name, value in map(assignment, assigned):
        _put(overrides, name, None if value == "null" else value)
    for name in unset:
        _put(overrides, name, None)
    return overrides


def _put(overrides: Overrides, name: str, value: str | None) -> None:
    section, dot, field = name.partition(".")
    if not dot or not section or not field:
        raise InvalidInput(f"{name!r} is not SECTION.FIELD: `tribrid config` lists every setting.", setting=name)
    if field in overrides.setdefault(section, {}):
        raise InvalidInput(f"{name} is given twice.", setting=name)
    overrides[section][field] = value


def _only(found: AllSettings, names: Collection[str]) -> AllSettings:
    """The settings of these names, all if there is none; sections with none are left out."""
    if not names:
        return found
    kept = {
        section: {field: entry for field, entry in fields.items() if f"{section}.{field}" in names}
        for section, fields in found.settings.items()
    }
    return found.model_copy(update={"settings": {section: fields for section, fields in kept.items() if fields}})


def _lines(found: AllSettings) -> Iterator[RenderableType]:
    """Each on a line of its own, whole however narrow the window is; below it where it is from, and what it means."""
    for section, fields in found.settings.items():
        values = dict(assignable({field: entry.value for field, entry in fields.items()}))
        for field, entry in fields.items():
            yield Verbatim(shlex.quote(f"{section}.{field}={values[field]}"))
            yield indented(f"{entry.origin}: {entry.description}", "dim" if entry.origin == "default" else "bold")
