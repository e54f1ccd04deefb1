"""Eval datasets as files: JSONL, TREC topics with qrels and a run, BEIR, and Quepid's CSV of ratings, in and out.

Only JSON and JSONL keep everything. TREC topics cannot keep white space, and TREC's files no id with a blank; BEIR and
TREC lose a query without judgments (qrels cannot name one), and Quepid knows a query by its text alone, so that it gets
a query_id made from that. What a spreadsheet would take for a formula is not one in Quepid's CSV.
"""

from __future__ import annotations

import csv
import hashlib
import html
import io
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType

from tribrid.corpus.formats import MAX_QUERY_BYTES, judged_queries, parse_grade, parse_judged_queries, parse_qrels
from tribrid.corpus.jsonlines import Skipped, Stream, json_items
from tribrid.corpus.lexical import normalise
from tribrid.corpus.runfiles import refuse_blanks, run_lines
from tribrid.errors import InvalidInput
from tribrid.types import JudgedQuery

Files = dict[str, str]
"""File name → text."""

_QUERY, _DOCUMENT, _RATING = ("query", "querytext"), ("docid", "documentid"), ("rating", "grade")
_FORMULA = re.compile(r"'*[=+\-@\t\r]")
_TOPIC = re.compile(r"<top(?:ic)?(?=[\s>])([^>]*)>(.*?)</top(?:ic)?>", re.DOTALL | re.IGNORECASE)
_NUMBER = re.compile(r"""number\s*=\s*["']([^"']+)["']""", re.IGNORECASE)
_NUM_TAG = re.compile(r"<num>(?:\s*number:)?([^<]*)", re.IGNORECASE)
_TITLE_TAG = re.compile(r"<(?:title|query)>(?:\s*topic:)?([^<]*)", re.IGNORECASE)


def parse_jsonl(stream: Stream) -> list[JudgedQuery]:
    """Judged queries, one object a line (or in one array): `query_id` (or `_id`), `text`, `judgments`.

    Raises:
        InvalidInput: a line cannot be read or is no judged query; names it.
    """
    entries = []
    for item in json_items(stream, max_item_bytes=MAX_QUERY_BYTES):
        if isinstance(item, Skipped):
            raise InvalidInput(f"Judged queries, line {item.line}: {item.reason}.", line=item.line)
        entry = item.value
        if isinstance(entry, dict) and "_id" in entry:
            entry = {"query_id": entry["_id"], **entry}
        entries.append(entry)
    return parse_judged_queries({"queries": entries})


def parse_labels(body: object) -> list[JudgedQuery]:
    """The judged queries of one JSON value: `{"queries": [...]}`, or the texts of `queries` (or TREC `topics`) beside
    `qrels`, which name queries by id alone.

    Raises:
        InvalidInput: names the query, line and field that is wrong.
    """
    if not isinstance(body, dict) or "qrels" not in body:
        return parse_judged_queries(body)
    texts, qrels = body.get("queries"), body["qrels"]
    if isinstance(body.get("topics"), str):
        texts = parse_topics(body["topics"])
    if not isinstance(texts, dict) or not isinstance(qrels, str):
        raise InvalidInput(
            'With qrels, the body is {"queries": {query_id: text}, "qrels": "1 0 a 1"}.', field="queries"
        )
    found = judged_queries(texts, parse_qrels(qrels))
    entries = [{"query_id": q.query_id, "text": q.text, "judgments": q.judgments} for q in found]
    return parse_judged_queries({"queries": entries})


def parse_topics(text: str) -> dict[str, str]:
    """Query texts by id from TREC topics: `<top>` with `<num>` and `<title>`, XML `<topic number="1">`, or id, tab,
    text.

    Raises:
        InvalidInput: there is no topic, one has no id or no text, or an id comes twice.
    """
    found = list(_TOPIC.finditer(text))
    if found:
        pairs = [_topic(number, topic) for number, topic in enumerate(found, 1)]
    else:
        lines = [line for line in text.removeprefix("\ufeff").split("\n") if line.strip()]
        pairs = [_topic_line(number, line) for number, line in enumerate(lines, 1)]
    topics = dict(pairs)
    if not topics:
        raise InvalidInput("The topics cannot be read: there is no topic in the file.")
    if len(topics) < len(pairs):
        raise InvalidInput("The topics cannot be read: a topic's number comes twice.")
    return topics


def parse_quepid(text: str) -> list[JudgedQuery]:
    """Judged queries from Quepid's CSV: a header with query, docid and rating (or as Quepid's long export calls them);
    other columns are passed over. A row without a rating keeps its query. Quepid has no query ids: each gets the hash
    of its text.

    Raises:
        InvalidInput: it is no CSV, the header lacks one of the three, a rating is no whole number, or a pair is rated
            twice and differently; names the line.
    """
    rows = csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=None))
    texts: dict[str, str] = {}
    ratings: dict[str, dict[str, int]] = {}
    try:
        places = _places(next(rows, []))
        for row in rows:
            if any(cell.strip() for cell in row):
                _rate(rows.line_num, [_cell(row, at) for at in places], texts, ratings)
    except csv.Error as error:
        raise InvalidInput(f"The CSV cannot be read: line {rows.line_num}: {error}.") from error
    entries = [{"query_id": name, "text": texts[name], "judgments": ratings[name]} for name in texts]
    return parse_judged_queries({"queries": entries})


def _cell(row: Sequence[str], at: int) -> str:
    cell = row[at] if at < len(row) else ""
    return (cell.removeprefix("'") if _FORMULA.match(cell) else cell).strip()


def _topic(number: int, topic: re.Match[str]) -> tuple[str, str]:
    named = _NUMBER.search(topic[1]) or _NUM_TAG.search(topic[2])
    title = _TITLE_TAG.search(topic[2])
    query_id, text = ("" if found is None else html.unescape(found[1]).strip() for found in (named, title))
    if not query_id or not text:
        raise InvalidInput(f"The topics cannot be read: topic {number} has no {'text' if query_id else 'number'}.")
    return query_id, " ".join(text.split())


def _topic_line(number: int, line: str) -> tuple[str, str]:
    query_id, tab, text = line.strip("\r").partition("\t")
    if not tab or not query_id.strip() or not text.strip():
        raise InvalidInput(f"The topics cannot be read: line {number} is neither <top> nor an id, a tab and a text.")
    return query_id.strip(), text.strip()


def _places(header: Sequence[str]) -> tuple[int, int, int]:
    names = [re.sub(r"[^a-z]", "", name.lower()) for name in header]

    def place(wanted: Sequence[str]) -> int:
        at = next((names.index(name) for name in wanted if name in names), None)
        if at is None:
            raise InvalidInput(
                f"The ratings cannot be read: no column {wanted[0]!r} in the header {list(header)[:20]}."
            )
        return at

    return place(_QUERY), place(_DOCUMENT), place(_RATING)


def _rate(line: int, cells: Sequence[str], texts: dict[str, str], ratings: dict[str, dict[str, int]]) -> None:
    text, doc_id, rating = cells
    query_id = "q" + hashlib.sha256(normalise(text).encode("utf-8", "surrogatepass")).hexdigest()[:12]
    texts.setdefault(query_id, text)
    rated = ratings.setdefault(query_id, {})
    if not doc_id or not rating or rating.lower() == "null":
        return
    grade = parse_grade(rating)
    if grade is None:
        raise InvalidInput(f"The ratings cannot be read: line {line}: {rating[:20]!r} is no whole number.", line=line)
    if rated.setdefault(doc_id, grade) != grade:
        raise InvalidInput(f"The ratings cannot be read: line {line} rates a document again, differently.", line=line)


# ------------------------------------------------------------------------------------------------------ out


def _jsonl(queries: Sequence[JudgedQuery], _lists: Mapping[str, Sequence[str]]) -> Files:
    rows = ({"query_id": q.query_id, "text": q.text, "judgments": dict(q.judgments)} for q in queries)
    return {"evalset.jsonl": _lines(rows)}


def _beir(queries: Sequence[JudgedQuery], _lists: Mapping[str, Sequence[str]]) -> Files:
    judgments = [f"{q.query_id}\t{doc_id}\t{grade}\n" for q in queries for doc_id, grade in q.judgments.items()]
    return {
        "queries.jsonl": _lines({"_id": q.query_id, "text": q.text} for q in queries),
        "qrels/test.tsv": "query-id\tcorpus-id\tscore\n" + "".join(judgments),
    }


def _topics(queries: Sequence[JudgedQuery], _lists: Mapping[str, Sequence[str]]) -> Files:
    refuse_blanks(q.query_id for q in queries)
    texts = ((q.query_id, html.escape(" ".join(q.text.split()), quote=False)) for q in queries)
    topics = (
        f"<top>\n<num> Number: {html.escape(name, quote=False)}\n<title> {text}\n</top>\n" for name, text in texts
    )
    return {"topics.trec": "".join(topics)}


def _qrels(queries: Sequence[JudgedQuery], _lists: Mapping[str, Sequence[str]]) -> Files:
    refuse_blanks(name for q in queries for name in (q.query_id, *q.judgments))
    rows = (f"{q.query_id} 0 {doc_id} {grade}\n" for q in queries for doc_id, grade in q.judgments.items())
    return {"qrels.txt": "".join(rows)}


def _run(_queries: Sequence[JudgedQuery], lists: Mapping[str, Sequence[str]]) -> Files:
    return {"candidates.run": "".join(run_lines(lists, "tribrid-candidates"))}


def _trec(queries: Sequence[JudgedQuery], lists: Mapping[str, Sequence[str]]) -> Files:
    return _topics(queries, lists) | _qrels(queries, lists) | (_run(queries, lists) if lists else {})


def _quepid(queries: Sequence[JudgedQuery], _lists: Mapping[str, Sequence[str]]) -> Files:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("query", "docid", "rating"))
    for query in queries:
        text = _guarded(query.text)
        writer.writerows((text, _guarded(doc_id), grade) for doc_id, grade in query.judgments.items())
        if not query.judgments:
            writer.writerow((text, "", ""))
    return {"quepid.csv": out.getvalue()}


def _guarded(cell: str) -> str:
    """A cell that a spreadsheet does not take for a formula: one that looks so gets an apostrophe, which
    `parse_quepid` takes off again.
    """
    return f"'{cell}" if _FORMULA.match(cell) else cell


def _lines(rows: Iterable[Mapping[str, object]]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


WRITERS: Mapping[str, Callable[[Sequence[JudgedQuery], Mapping[str, Sequence[str]]], Files]] = MappingProxyType(
    {"jsonl": _jsonl, "trec": _trec, "topics": _topics, "qrels": _qrels, "run": _run, "beir": _beir, "quepid": _quepid}
)
"""Format → what makes its files of the judged queries and of the frozen candidates (query_id → doc_ids, best first)."""
