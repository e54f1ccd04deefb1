"""The forms in which the field keeps judgments and test collections: TREC and BEIR qrels, BEIR folders, JSON.

Everything here raises `InvalidInput` on the first fault and names its line: a set of judgments that is half
read measures something else than what its author meant. Logs, where bad lines are a fact of life, skip them
instead: see `logs/`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tribrid.corpus.jsonlines import Skipped, Stream, id_fault, id_text, json_items, text_fault
from tribrid.errors import InvalidInput
from tribrid.types import JudgedQuery

Qrels = dict[str, dict[str, int]]
"""query_id -> doc_id -> grade; a grade of 1 or more is relevant."""

MAX_QUERY_CHARS = 10_000
# Grades may be click counts.
MAX_GRADE = 1_000_000
MAX_QUERY_BYTES = 1 << 20
_NAMED_MISSING = 5
_COLUMNS = (3, 4)
_SPLIT_PREFIX = "qrels_"
_TEST_SPLIT = "test"


@dataclass(frozen=True, slots=True)
class BeirFolder:
    """A test collection on disk. `qrels` is by split: "test", "train", "dev"..."""

    corpus: Path
    queries: dict[str, str]
    qrels: dict[str, Qrels]


def parse_qrels(text: str) -> Qrels:
    """Relevance judgments from TREC's four columns, BEIR's three with a header, or three without.

    The columns are query, (iteration,) document, grade. They are split at tabs where there are any, so that
    ids may hold spaces; else at white space. Negative grades stay as they are.

    Raises:
        InvalidInput: a line has another number of columns, a bad id, a grade that is no whole number, or grades
            a pair a second time and differently; or there is no judgment at all.
    """
    qrels: Qrels = {}
    lines = [(number, line) for number, line in enumerate(text.split("\n"), start=1) if line.strip("\ufeff \t\r")]
    if lines and _is_header(_columns(lines[0][1])):
        del lines[0]
    for number, line in lines:
        query_id, doc_id, grade = _judgment(number, _columns(line))
        if qrels.setdefault(query_id, {}).setdefault(doc_id, grade) != grade:
            raise _fault(f"line {number}: query {query_id!r} grades document {doc_id!r} again and differently")
    if not qrels:
        raise _fault("there is no judgment in it")
    return qrels


def _columns(line: str) -> list[str]:
    line = line.removeprefix("\ufeff")
    return [column.strip() for column in (line.strip("\r").split("\t") if "\t" in line else line.split())]


def _is_header(columns: list[str]) -> bool:
    """A line of names: nothing like a number where the grade should be."""
    return len(columns) in _COLUMNS and not any(character.isdigit() for character in columns[-1])


def _judgment(number: int, columns: list[str]) -> tuple[str, str, int]:
    if len(columns) not in _COLUMNS:
        raise _fault(f"line {number} has {len(columns)} columns, not 3 (query, document, grade) or 4 (TREC)")
    grade = parse_grade(columns[-1])
    if grade is None:
        raise _fault(f"line {number}: the grade is not a whole number from -{MAX_GRADE:,} to {MAX_GRADE:,}")
    query_id, doc_id = columns[0], columns[-2]
    fault = id_fault(query_id, "the query id") or id_fault(doc_id, "the document id")
    if fault:
        raise _fault(f"line {number}: {fault}")
    return query_id, doc_id, grade


def parse_judged_queries(obj: object) -> list[JudgedQuery]:
    """Judged queries from {"queries": [{"query_id", "text", "judgments": {doc_id: grade}}]}.

    A query without judgments is kept: it is counted as excluded, not lost.

    Raises:
        InvalidInput: names the query (from 1) and the field that is wrong, or the query_id that comes twice.
    """
    entries = obj.get("queries") if isinstance(obj, dict) else None
    if not isinstance(entries, list) or not entries:
        raise InvalidInput('Judged queries are {"queries": [{"query_id", "text", "judgments": {doc_id: grade}}]}.')
    queries: dict[str, JudgedQuery] = {}
    for number, entry in enumerate(entries, start=1):
        query = _judged_query(entry, number)
        if query.query_id in queries:
            raise InvalidInput(f"Query {number}: query_id {query.query_id!r} comes twice.", query_id=query.query_id)
        queries[query.query_id] = query
    return list(queries.values())


def judged_queries(queries: Mapping[str, str], qrels: Mapping[str, Mapping[str, int]]) -> list[JudgedQuery]:
    """The judged queries of a test collection, in the order of the judgments.

    Raises:
        InvalidInput: some judged queries have no text; says how many and names the first.
    """
    missing = [query_id for query_id in qrels if queries.get(query_id, "") == ""]
    if missing:
        named = ", ".join(map(repr, missing[:_NAMED_MISSING]))
        raise InvalidInput(f"{len(missing)} judged queries have no text: {named}.", missing=len(missing))
    return [JudgedQuery(query_id, queries[query_id], dict(grades)) for query_id, grades in qrels.items()]


def parse_queries(stream: Stream) -> dict[str, str]:
    """Query texts by id from NDJSON or an array of {"_id" | "query_id", "text"}.

    One that is blank becomes "": nobody may have judged it, and then it harms nothing.

    Raises:
        InvalidInput: a line cannot be read, or an id comes twice; names it.
    """
    queries: dict[str, str] = {}
    for item in json_items(stream, max_item_bytes=MAX_QUERY_BYTES):
        if isinstance(item, Skipped):
            raise InvalidInput(f"Queries, line {item.line}: {item.reason}.", line=item.line)
        record = item.value if isinstance(item.value, dict) else {}
        where = f"Queries, line {item.line}"
        query_id = _query_id(record.get("query_id", record.get("_id")), where)
        if query_id in queries:
            raise InvalidInput(f"{where}: {query_id!r} comes twice.", line=item.line)
        given = record.get("text")
        blank = isinstance(given, str) and not given.strip()
        queries[query_id] = "" if blank else _query_text(given, where, query_id)
    return queries


def read_beir(folder: Path) -> BeirFolder:
    """A BEIR folder: corpus.jsonl, queries.jsonl, and qrels as qrels/<split>.tsv, qrels.tsv or qrels_<split>.tsv.

    `qrels.tsv` is the split "test". The corpus is not read: `parse_records` streams it.

    Raises:
        InvalidInput: one of the three is missing, or cannot be read; names the file.
    """
    folder = Path(folder)
    corpus, queries = folder / "corpus.jsonl", folder / "queries.jsonl"
    files = {path.stem: path for path in sorted(folder.glob("qrels/*.tsv"))}
    files |= {path.stem.removeprefix(_SPLIT_PREFIX): path for path in sorted(folder.glob(f"{_SPLIT_PREFIX}*.tsv"))}
    if (folder / "qrels.tsv").is_file():
        files[_TEST_SPLIT] = folder / "qrels.tsv"
    missing = [path.name for path in (corpus, queries) if not path.is_file()] + ([] if files else ["qrels.tsv"])
    if missing:
        raise InvalidInput(f"{str(folder)!r} is not a BEIR folder: {', '.join(missing)} missing.", missing=missing)
    try:
        with queries.open("rb") as stream:
            texts = parse_queries(stream)
        qrels = {split: _read_qrels(path) for split, path in files.items()}
    except OSError as error:
        raise InvalidInput(f"{error.filename}: cannot be read: {error.strerror}.", path=str(folder)) from error
    return BeirFolder(corpus, texts, qrels)


def _read_qrels(path: Path) -> Qrels:
    try:
        return parse_qrels(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{path.name}: not valid UTF-8 (byte {error.start + 1}).", file=path.name) from error
    except InvalidInput as error:
        raise InvalidInput(f"{path.name}: {error.detail}", file=path.name) from error


def _judged_query(entry: object, number: int) -> JudgedQuery:
    where = f"Query {number}"
    if not isinstance(entry, dict):
        raise InvalidInput(f"{where} is not an object with query_id, text and judgments.")
    query_id = _query_id(entry.get("query_id"), where)
    text = _query_text(entry.get("text"), where, query_id)
    judgments = entry.get("judgments")
    if not isinstance(judgments, dict):
        raise InvalidInput(f"{where}: judgments is not an object of doc_id: grade.", query_id=query_id)
    for doc_id, grade in judgments.items():
        fault = id_fault(doc_id, "a doc_id of judgments")
        if fault:
            raise InvalidInput(f"{where}: {fault}.", query_id=query_id)
        if type(grade) is not int or abs(grade) > MAX_GRADE:
            raise InvalidInput(
                f"{where}: the grade of {doc_id!r} is not a whole number from -{MAX_GRADE:,} to {MAX_GRADE:,}.",
                query_id=query_id,
                doc_id=doc_id,
            )
    return JudgedQuery(query_id, text, dict(judgments))


def _query_id(given: object, where: str) -> str:
    query_id = id_text(given)
    fault = id_fault(query_id, "query_id")
    if fault or not isinstance(query_id, str):
        raise InvalidInput(f"{where}: {fault}.")
    return query_id


def _query_text(text: object, where: str, query_id: str) -> str:
    if not isinstance(text, str) or not text.strip():
        raise InvalidInput(f"{where}: text is missing or empty.", query_id=query_id)
    fault = f"is longer than {MAX_QUERY_CHARS:,} characters" if len(text) > MAX_QUERY_CHARS else text_fault(text)
    if fault:
        raise InvalidInput(f"{where}: text {fault}.", query_id=query_id)
    return text


def parse_grade(text: str) -> int | None:
    """A grade as TREC ("2") or a spreadsheet ("2.0") writes it; None if it is no whole number in bounds."""
    digits = text.removesuffix(".0").removeprefix("-")
    if not (digits.isascii() and digits.isdigit()) or len(digits) > len(str(MAX_GRADE)):
        return None
    grade = int(text.removesuffix(".0"))
    return grade if abs(grade) <= MAX_GRADE else None


def _fault(reason: str) -> InvalidInput:
    return InvalidInput(f"The qrels cannot be read: {reason}.")
