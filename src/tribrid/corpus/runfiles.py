"""TREC run files: what an engine ranked, one document a line: query, "Q0", document, rank, score, tag.

Like trec_eval, nobody here believes the rank: the order is by score, ties by doc_id descending.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from tribrid.corpus.jsonlines import id_fault
from tribrid.errors import InvalidInput
from tribrid.types import FIRST_RANK, ScoredDoc

MAX_TAG_CHARS = 200
_COLUMNS = 6


@dataclass(frozen=True, slots=True)
class RunFile:
    """A run. `lists`: query_id → documents in the order of the file; `tag` is the first line's name of the run."""

    tag: str
    lists: Mapping[str, Sequence[ScoredDoc]]

    @property
    def sha256(self) -> str:
        """Of the lists by query, documents as ordered in the file: the same run under another tag has the same."""
        text = json.dumps(self.as_json(), sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()

    def as_json(self) -> dict[str, list[list[str | float]]]:
        """query_id → [doc_id, score]."""
        return {query_id: [[doc.doc_id, doc.score] for doc in docs] for query_id, docs in self.lists.items()}


def parse_run(text: str) -> RunFile:
    """The run in a file's text. Columns are split at tabs where there are any, else at white space.

    Raises:
        InvalidInput: a line has another number of columns, a bad id or a score that is no finite number, or ranks a
            document a second time for its query; or there is no line. Names the line.
    """
    lists: dict[str, dict[str, ScoredDoc]] = {}
    tag = ""
    for number, line in enumerate(text.removeprefix("\ufeff").split("\n"), start=1):
        if not line.strip():
            continue
        columns = _columns(number, line)
        tag = tag or columns[-1]
        query_id, doc = columns[0], ScoredDoc(columns[2], _score(number, columns[4]))
        if doc.doc_id in lists.setdefault(query_id, {}):
            raise _fault(f"line {number}: query {query_id!r} ranks document {doc.doc_id!r} a second time")
        lists[query_id][doc.doc_id] = doc
    if not lists:
        raise _fault("there is no line in it")
    return RunFile(tag[:MAX_TAG_CHARS], {query_id: tuple(docs.values()) for query_id, docs in lists.items()})


def run_lines(lists: Mapping[str, Sequence[str]], tag: str) -> Iterator[str]:
    """A run file's lines, by query_id, from doc_ids best first; the scores say the rank and nothing else.

    Raises:
        InvalidInput: as refuse_blanks.
    """
    refuse_blanks([*lists, *(doc_id for doc_ids in lists.values() for doc_id in doc_ids)])
    for query_id in sorted(lists):
        doc_ids = lists[query_id]
        for rank, doc_id in enumerate(doc_ids, start=FIRST_RANK):
            yield f"{query_id} Q0 {doc_id} {rank} {len(doc_ids) + 1 - rank} {tag}\n"


def refuse_blanks(ids: Iterable[str]) -> None:
    """Pass if TREC's files can hold these ids. Their readers split at any white space, and would read another id.

    Raises:
        InvalidInput: one holds white space.
    """
    wrong = next((text for text in ids if len(text.split()) != 1), None)
    if wrong is not None:
        raise InvalidInput(
            f"The id {wrong!r} holds a blank, and TREC's files separate their columns by blanks. Export as json, jsonl "
            "or beir, which keep it.",
            id=wrong,
        )


def _columns(number: int, line: str) -> list[str]:
    line = line.strip("\r")
    columns = [column.strip() for column in (line.split("\t") if "\t" in line else line.split())]
    if len(columns) != _COLUMNS:
        raise _fault(f"line {number} has {len(columns)} columns, not 6 (query, Q0, document, rank, score, tag)")
    fault = id_fault(columns[0], "the query id") or id_fault(columns[2], "the document id")
    if fault:
        raise _fault(f"line {number}: {fault}")
    return columns


def _score(number: int, text: str) -> float:
    try:
        score = float(text)
    except ValueError:
        score = math.nan
    if not math.isfinite(score):
        raise _fault(f"line {number}: the score is not a finite number")
    return score


def _fault(reason: str) -> InvalidInput:
    return InvalidInput(f"The run cannot be read: {reason}.")
