"""Judged queries from files, in any of the forms that the field keeps them in: to measure on, or to train from.

The parsers are imported where they are called: see tribrid.cli.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from tribrid.errors import InvalidInput
from tribrid.types import JudgedQuery


class Given(NamedTuple):
    """Where judged queries come from: one file (or BEIR folder) with both, or texts and qrels; all None: nowhere."""

    file: Path | None
    queries: Path | None
    qrels: Path | None


def read(given: Given, split: str) -> tuple[list[JudgedQuery], dict[str, Any]]:
    """The judged queries, and what else a bundle holds.

    Args:
        split: which of a BEIR folder's qrels.

    Raises:
        InvalidInput: a file cannot be read, or they do not fit together.
    """
    from tribrid.corpus.formats import judged_queries, parse_qrels

    if given.file is not None:
        if given.queries or given.qrels:
            raise InvalidInput("Give --file, or --queries with --qrels, not both.")
        return _read_file(given.file, split)
    if given.queries is None or given.qrels is None:
        raise InvalidInput(
            "Qrels name queries by id alone: give both --queries and --qrels."
            if any(given)
            else "Give --file, or --queries with --qrels."
        )
    return judged_queries(_texts(given.queries), parse_qrels(text_of(given.qrels))), {}


def _texts(path: Path) -> dict[str, str]:
    from tribrid.corpus.evalfiles import parse_topics
    from tribrid.corpus.formats import parse_queries

    text = text_of(path)
    return parse_queries([text.encode()]) if text.lstrip()[:1] in ("{", "[") else parse_topics(text)


def _read_file(path: Path, split: str) -> tuple[list[JudgedQuery], dict[str, Any]]:
    from tribrid.corpus.evalfiles import parse_jsonl, parse_labels, parse_quepid
    from tribrid.corpus.formats import judged_queries, read_beir
    from tribrid.corpus.repeated import Repeated

    if path.is_dir():
        folder = read_beir(path)
        if split not in folder.qrels:
            raise InvalidInput(f"{path}: no {split!r} among its qrels {sorted(folder.qrels)}; give --qrels instead.")
        return judged_queries(folder.queries, folder.qrels[split]), {}
    if path.suffix.lower() == ".csv":
        return parse_quepid(text_of(path)), {}
    if path.suffix.lower() in (".jsonl", ".ndjson"):
        with open_file(path) as stream:
            return parse_jsonl(stream), {}
    repeated = Repeated()
    try:
        body = json.loads(text_of(path), object_pairs_hook=repeated)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"{path}: not valid JSON: {error}.", path=str(path)) from None
    fault = repeated.fault
    if fault is not None:
        raise InvalidInput(f"{path}: {fault}.", path=str(path))
    return parse_labels(body), body if isinstance(body, dict) else {}


def open_file(path: str | Path) -> BinaryIO:
    """The file, to read.

    Raises:
        InvalidInput: it cannot be read.
    """
    try:
        return Path(path).open("rb")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise InvalidInput(f"The file {str(path)!r} cannot be read: {reason}.", path=str(path)) from None


def text_of(path: Path) -> str:
    """The file's text.

    Raises:
        InvalidInput: it cannot be read, or is no UTF-8.
    """
    with open_file(path) as stream:
        try:
            return stream.read().decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise InvalidInput(f"{path}: not valid UTF-8 (byte {error.start + 1}).", path=str(path)) from None
        except OSError as error:
            raise InvalidInput(f"The file {str(path)!r} cannot be read: {error.strerror}.", path=str(path)) from None
