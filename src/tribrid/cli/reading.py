"""The files that commands read: as bytes, as text, and as judged queries in the field's formats."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, BinaryIO, Literal, NamedTuple

from tribrid.corpus.evalfiles import parse_jsonl, parse_quepid, parse_topics
from tribrid.corpus.formats import judged_queries, parse_judged_queries, parse_qrels, parse_queries, read_beir
from tribrid.errors import InvalidInput
from tribrid.types import JudgedQuery

Split = Literal["train", "test"]
"""Which of a BEIR folder's qrels are meant: `qrels.tsv` is its test split."""


class Judged(NamedTuple):
    """Where judged queries come from: one file with all, or texts and qrels; all None: nowhere."""

    file: Path | None
    queries: Path | None
    qrels: Path | None


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


def read_judged(source: Judged, split: Split) -> tuple[list[JudgedQuery], dict[str, Any]]:
    """The judged queries, and what else a bundle of an eval dataset holds.

    Raises:
        InvalidInput: the files do not give judged queries.
    """
    if source.file is not None:
        if source.queries or source.qrels:
            raise InvalidInput("Give --file, or --queries with --qrels, not both.")
        return _read_file(source.file, split)
    if source.queries is None or source.qrels is None:
        raise InvalidInput(
            "Qrels name queries by id alone: give both --queries and --qrels."
            if any(source)
            else "Give --file, or --queries with --qrels."
        )
    text = text_of(source.queries)
    texts = parse_queries([text.encode()]) if text.lstrip()[:1] in ("{", "[") else parse_topics(text)
    return judged_queries(texts, parse_qrels(text_of(source.qrels))), {}


def _read_file(path: Path, split: Split) -> tuple[list[JudgedQuery], dict[str, Any]]:
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
    try:
        body = json.loads(text_of(path))
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"{path}: not valid JSON: {error}.", path=str(path)) from None
    return parse_judged_queries(body), body
