"""Runs, judgments, queries and documents as programs hold them: dictionaries, lists, data frames, files by their path.

A data frame is known by what it can do (pandas, polars, pyarrow), so that none of these is needed here. An id that is a
whole number is its digits. A fraction is refused: a frame that was read from a file made it of an id.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, TypeAlias

from tribrid.corpus.evalfiles import parse_jsonl, parse_topics
from tribrid.corpus.formats import MAX_GRADE, parse_judged_queries, parse_qrels, parse_queries
from tribrid.corpus.jsonlines import Skipped, id_fault, id_text
from tribrid.corpus.records import Unread, parse_record
from tribrid.corpus.runfiles import parse_run
from tribrid.errors import InvalidInput
from tribrid.types import Document, JudgedQuery, ScoredDoc

Row = Mapping[str, Any]
Given: TypeAlias = Any
"""A data frame, a dictionary, a list, or the path of a file."""

QUERY = ("query_id", "qid", "query-id", "topic")
DOCUMENT = ("doc_id", "docno", "docid", "corpus-id", "document_id")
GRADE = ("grade", "relevance", "label", "rel", "score")
SCORE, RANK, TEXT = ("score",), ("rank",), ("text", "query")
_RECORDS = (".jsonl", ".ndjson", ".json")


def rows_of(given: Given) -> list[Row] | None:
    """The rows of a data frame or of a list of dictionaries; None for anything else."""
    # pandas last: polars has its verb too, and gives columns.
    for verb, arguments in (("to_dicts", ()), ("to_pylist", ()), ("to_dict", ("records",))):
        if hasattr(given, verb) and hasattr(given, "columns"):
            return [dict(row) for row in getattr(given, verb)(*arguments)]
    if isinstance(given, Sequence) and given and all(isinstance(row, Mapping) for row in given):
        return list(given)
    return None


def given_run(name: str, given: Given) -> dict[str, list[ScoredDoc]]:
    """What a system found: query_id → documents. A list without scores is in its order, best first.

    Args:
        given: query_id → {doc_id: score}, or → doc_ids, (doc_id, score) pairs or search results; a frame with a row a
            document (query_id, doc_id, and score or rank); or the path of a TREC run.

    Raises:
        InvalidInput: it is none of these, or an id or a score cannot be one; names the system and the query.
    """
    if _is_path(given):
        return {query_id: list(docs) for query_id, docs in parse_run(_text(given)).lists.items()}
    if (rows := rows_of(given)) is not None:
        return _run_of_rows(f"The run {name!r}", rows)
    if not isinstance(given, Mapping):
        raise InvalidInput(
            f"The run {name!r} is neither query_id → documents, nor a data frame, nor the path of a TREC run."
        )
    return {_id(query_id, f"the run {name!r}"): given_list(name, docs) for query_id, docs in given.items()}


def given_list(name: str, docs: Given) -> list[ScoredDoc]:
    """One query's documents, as `given_run` takes them.

    Raises:
        InvalidInput: as `given_run`.
    """
    where = f"the run {name!r}"
    if isinstance(docs, Mapping):
        return [ScoredDoc(_id(doc_id, where), _score(score, where)) for doc_id, score in docs.items()]
    if isinstance(docs, str) or not isinstance(docs, Iterable):
        raise InvalidInput(f"What {where} found is neither a list of documents nor doc_id → score.")
    found = list(docs)
    if all(isinstance(doc, str | int) for doc in found):
        return [ScoredDoc(_id(doc, where), float(len(found) - at)) for at, doc in enumerate(found)]
    pairs = [_pair(doc, where) for doc in found]
    return [ScoredDoc(_id(doc_id, where), _score(score, where)) for doc_id, score in pairs]


def given_judgments(given: Given, texts: Mapping[str, str] | None = None) -> list[JudgedQuery]:
    """Judged queries; the text of one that came without is "".

    Args:
        given: query_id → {doc_id: grade}; a frame with a row a judgment (query_id, doc_id, grade); JudgedQuery, or
            dictionaries with query_id, text and judgments; the path of qrels, or of such dictionaries as .jsonl.
        texts: query_id → text.

    Raises:
        InvalidInput: it is none of these, or an id or a grade cannot be one.
    """
    if _is_path(given):
        if Path(given).suffix in _RECORDS:
            with _opened(given) as stream:
                return parse_jsonl(stream)
        qrels = parse_qrels(_text(given))
    elif isinstance(given, Sequence) and all(isinstance(query, JudgedQuery) for query in given):
        return list(given)
    else:
        rows = rows_of(given)
        if rows and "judgments" in rows[0]:
            return parse_judged_queries({"queries": rows})
        qrels = _qrels(given, rows)
    return [JudgedQuery(query_id, (texts or {}).get(query_id, ""), grades) for query_id, grades in qrels.items()]


def given_queries(given: Given) -> dict[str, str]:
    """Query texts by id: a dictionary, a frame (query_id, text), or the path of topics or of a .jsonl.

    Raises:
        InvalidInput: it is none of these, or an id cannot be one.
    """
    if _is_path(given):
        if Path(given).suffix not in _RECORDS:
            return parse_topics(_text(given))
        with _opened(given) as stream:
            return parse_queries(stream)
    rows = rows_of(given)
    if rows is not None:
        pairs: Iterable[tuple[object, object]] = ((_of(row, QUERY), _of(row, TEXT)) for row in rows)
    elif isinstance(given, Mapping):
        pairs = given.items()
    else:
        raise InvalidInput("The queries are neither query_id → text, nor a data frame, nor a path.")
    return {_id(query_id, "the queries"): str(text) for query_id, text in pairs}


def given_documents(given: Iterable[Given] | Given, *, max_document_chars: int) -> Iterator[Document | Skipped]:
    """Documents: as they are, texts by doc_id, dictionaries of records, or a frame with a row a document; what a record
    may hold is as in a file of records.

    Raises:
        InvalidInput: an id is a fraction.
    """
    if isinstance(given, Mapping):
        given = [{"doc_id": doc_id, "text": text} for doc_id, text in given.items()]
    rows, unread = rows_of(given), Unread()
    for number, row in enumerate(given if rows is None else rows, start=1):
        if isinstance(row, Mapping):
            record = _record(row)
            yield from unread.told(parse_record(record, number, max_document_chars=max_document_chars), record, number)
        else:
            yield row


def _record(row: Row) -> dict[str, Any]:
    """A row as a record: without its empty cells, its id a text."""
    found = {name: value for name, value in row.items() if not _is_empty(value)}
    names = [name for name in ("doc_id", "_id", "id", *DOCUMENT) if name in found]
    if not names:
        return found
    rest = {name: value for name, value in found.items() if name not in names}
    return {**rest, "doc_id": _id(found[names[0]], "the documents")}


def _run_of_rows(where: str, rows: Sequence[Row]) -> dict[str, list[ScoredDoc]]:
    lists: dict[str, list[ScoredDoc]] = {}
    for row in rows:
        score = _score(_of(row, SCORE), where) if "score" in row else -_score(_of(row, RANK), where)
        doc = ScoredDoc(_id(_of(row, DOCUMENT), where), score)
        lists.setdefault(_id(_of(row, QUERY), where), []).append(doc)
    return lists


def _qrels(given: Given, rows: Sequence[Row] | None) -> dict[str, dict[str, int]]:
    where = "the judgments"
    if rows is None and not isinstance(given, Mapping):
        raise InvalidInput(f"{where.capitalize()} are neither query_id → {{doc_id: grade}}, nor a frame, nor a path.")
    if rows is not None:
        triples = [(_of(row, QUERY), _of(row, DOCUMENT), _of(row, GRADE)) for row in rows]
    else:
        triples = [(q, d, grade) for q, grades in given.items() for d, grade in dict(grades).items()]
    found: dict[str, dict[str, int]] = {}
    for query_id, doc_id, grade in triples:
        found.setdefault(_id(query_id, where), {})[_id(doc_id, where)] = _grade(grade, where)
    return found


def _of(row: Row, names: Sequence[str]) -> object:
    """The first of these columns that a row has."""
    found = next((name for name in names if name in row), None)
    if found is None:
        raise InvalidInput(f"There is no column {names[0]!r} (or {', '.join(names[1:])}) among {sorted(row)[:20]}.")
    return row[found]


def _pair(doc: object, where: str) -> tuple[object, object]:
    """doc_id and score of a pair, of a dictionary, or of an object that has them."""
    if isinstance(doc, Mapping):
        return _of(doc, DOCUMENT), _of(doc, SCORE)
    if hasattr(doc, "doc_id") and hasattr(doc, "score"):
        return doc.doc_id, doc.score
    if isinstance(doc, Sequence) and not isinstance(doc, str) and len(doc) == 2:
        return doc[0], doc[1]
    raise InvalidInput(f"A document of {where} is neither an id, nor a pair of id and score, nor has them.")


def _id(given: object, where: str) -> str:
    if _is_empty(given):
        raise InvalidInput(
            f"An id of {where} is empty. pandas reads ids such as null, NA or None as empty cells: "
            "pandas.read_csv(..., dtype=str, keep_default_na=False) keeps them."
        )
    if isinstance(given, float):
        raise InvalidInput(
            f"An id of {where} is the number {given}: ids that look like numbers were read as numbers, and became "
            "fractions beside an empty cell. Read them as text, as by pandas.read_csv(..., dtype=str)."
        )
    found = id_text(int(given) if hasattr(given, "__index__") and not isinstance(given, bool) else given)
    fault = id_fault(found, f"an id of {where}")
    if fault or not isinstance(found, str):
        raise InvalidInput(f"{fault}: {given!r}."[:200])
    return found


def _score(given: object, where: str) -> float:
    try:
        return float(given)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise InvalidInput(f"A score of {where} is no number: {given!r}."[:200]) from None


def _grade(given: object, where: str) -> int:
    number = _score(given, where)
    if isinstance(given, str) or not math.isfinite(number) or number != int(number) or abs(number) > MAX_GRADE:
        raise InvalidInput(f"A grade of {where} is no whole number: {given!r}."[:200])
    return int(number)


def _is_empty(value: object) -> bool:
    """Whether a cell holds nothing, in a frame's words: None, NaN, NA, NaT."""
    if isinstance(value, float):
        return math.isnan(value)
    return value is None or type(value).__name__ in ("NAType", "NaTType")


def _is_path(given: object) -> bool:
    return isinstance(given, str | PathLike)


def _text(path: Given) -> str:
    with _opened(path) as stream:
        try:
            return str(stream.read().decode("utf-8"))
        except UnicodeDecodeError as error:
            raise InvalidInput(f"{path}: not valid UTF-8 (byte {error.start + 1}).", path=str(path)) from error


def _opened(path: Given) -> Any:
    try:
        return Path(path).expanduser().open("rb")
    except OSError as error:
        raise InvalidInput(f"{path}: cannot be read: {error.strerror}.", path=str(path)) from error
