"""The loop over HTTP: index, judge, mine, train, evaluate. Each stage is skipped if an earlier run of the demo did it.

The three calls are those of the promised page. `"wait": false` is added where a call would wait, because the job's
address is what progress is read from, and what a demo that was killed finds its work again by.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

from tribrid.answers.report import EvaluationReport, QueryRow, QueryRows
from tribrid.answers.search import SearchAnswer
from tribrid.demo.client import Client, Json
from tribrid.demo.collection import CORPUS_ID, Collection
from tribrid.demo.memory import Memory, remember
from tribrid.errors import Conflict, CorpusNotFound, Failed, NotFound, from_problem
from tribrid.types import Document, JudgedQuery, State

MINE = {"corpus_id": CORPUS_ID, "max_pairs": 500}
TRAIN = {"corpus_id": CORPUS_ID, "epochs": 2, "batch_size": 16}
EVALUATE = {"corpus_id": CORPUS_ID}

_BATCH_DOCUMENTS = 200
_POLL_S = 0.5
_ROWS_PER_PAGE = 500


class Shown(Protocol):
    """Where a stage's events go."""

    def told(self, kind: str, data: Mapping[str, Any]) -> None:
        """An event: `progress` (done, total, and rate_per_s and eta_s where they are known), `metrics`, `log`..."""


Stage = Callable[[str], AbstractContextManager[Shown]]
"""Opens what shows a stage of this name."""


class Loop:
    """The loop on one server."""

    def __init__(self, client: Client, memory: Memory, folder: Path, stage: Stage) -> None:
        self._client = client
        self._memory = memory
        self._folder = folder
        self._stage = stage

    @property
    def done(self) -> bool:
        """Whether an earlier run has come to the end."""
        return bool(self._memory.evaluation_id)

    @property
    def took_s(self) -> Mapping[str, float]:
        """Seconds by stage, over all the runs of the demo that it took."""
        return self._memory.took_s

    def start_over(self, memory: Memory) -> None:
        """Forget the corpus and all that came of it; go on with an empty memory."""
        with suppress(CorpusNotFound):  # an earlier run was stopped before it made one
            self._client.delete(f"/corpora/{CORPUS_ID}")
        self._memory = memory
        remember(self._folder, self._memory)

    def check_ours(self) -> None:
        """Pass if the folder has no corpus of the demo's name but the demo's.

        Raises:
            Conflict: somebody else made it; the demo does not touch it.
        """
        try:
            self._client.get(f"/corpora/{CORPUS_ID}")
        except CorpusNotFound:
            return
        raise Conflict(
            f"{self._folder} has a corpus {CORPUS_ID!r} that the demo did not make. Choose another --data-dir, "
            f"or delete it: tribrid --data-dir {self._folder} corpora {CORPUS_ID} --delete",
            corpus_id=CORPUS_ID,
        )

    def run(self, collection: Collection) -> EvaluationReport:
        """Whatever of the loop on this collection is not done yet; the evaluation's report.

        Raises:
            TribridError: as the stage that failed says.
        """
        remember(self._folder, self._memory)
        self._index(collection.documents)
        self._label(collection)
        self._mine()
        self._train()
        self._evaluate()
        return self.report()

    def report(self) -> EvaluationReport:
        """The report of the evaluation that is done."""
        return EvaluationReport.model_validate(self._client.get(f"/reranker/evaluations/{self._memory.evaluation_id}"))

    def rows(self) -> list[QueryRow]:
        """The report's rows, one a query."""
        path = f"/reranker/evaluations/{self._memory.evaluation_id}/queries"
        rows: list[QueryRow] = []
        while True:
            page = QueryRows.model_validate(self._client.get(path, offset=len(rows), limit=_ROWS_PER_PAGE))
            rows += page.queries
            if len(rows) >= page.total or not page.queries:
                return rows

    def page(self) -> str:
        """The report as a web page."""
        return self._client.text(f"/reranker/evaluations/{self._memory.evaluation_id}", format="html")

    def search(self, query: str, top_k: int) -> SearchAnswer:
        """What the server serves for a query now."""
        asked = {"corpus_id": CORPUS_ID, "query": query, "top_k": top_k}
        return SearchAnswer.model_validate(self._client.post("/search", asked))

    def _index(self, documents: Sequence[Document]) -> None:
        if self._memory.documents >= len(documents):
            return
        try:
            self._client.get(f"/corpora/{CORPUS_ID}")
        except CorpusNotFound:
            self._client.post("/corpora", {"corpus_id": CORPUS_ID, "name": "Python's standard library"})
            self._memory.documents = 0
        with self._timed("Indexing") as shown:
            progress = _Progress(len(documents), self._memory.documents, shown)
            for batch in _batches(documents[self._memory.documents :]):
                answer = self._client.put_documents(CORPUS_ID, batch)
                if answer["skipped_total"]:
                    raise Failed(f"The server refused a document of the demo: {answer['skipped'][0]['reason']}.")
                self._memory.documents += len(batch)
                remember(self._folder, self._memory)
                progress.at(self._memory.documents)

    def _label(self, collection: Collection) -> None:
        if self._memory.labelled:
            return
        self._client.put(f"/corpora/{CORPUS_ID}/eval_dataset", _judged(collection.evaluation))
        self._client.put(f"/corpora/{CORPUS_ID}/judgments?replace=true", _judged(collection.training))
        self._memory.labelled = True
        remember(self._folder, self._memory)

    def _mine(self) -> None:
        if self._memory.train_run:
            return
        with self._timed("Mining") as shown:
            if not self._known(self._memory.mine_job):
                self._memory.mine_job = self._submit("/reranker/mine", MINE)
            result = self._finished(self._memory.mine_job, shown)
        if not result["triplets"]:
            raise Failed("Mining found no triplet; start over with --fresh.")

    def _train(self) -> None:
        if self._memory.evaluate_job:
            return
        with self._timed("Training") as shown:
            if not self._known(self._memory.train_run):
                self._memory.train_run = self._submit("/reranker/train", TRAIN)
            self._follow_training(self._memory.train_run, shown)

    def _follow_training(self, run_id: str, shown: Shown) -> None:
        remember(self._folder, self._memory)
        seq = 0
        while True:
            for event in self._client.events(run_id, seq):
                seq = event["seq"]
                shown.told(event["type"], event["data"])
            job = self._client.get(f"/jobs/{run_id}")
            if State(job["state"]).final:
                _check(job)
                return

    def _evaluate(self) -> None:
        with self._timed("Evaluating") as shown:
            if not self._known(self._memory.evaluate_job):
                self._memory.evaluate_job = self._submit("/reranker/evaluate", EVALUATE)
            result = self._finished(self._memory.evaluate_job, shown)
        self._memory.evaluation_id = result["evaluation_id"]
        remember(self._folder, self._memory)

    def _submit(self, path: str, body: Mapping[str, Any]) -> str:
        job_id: str = self._client.post(path, {**body, "wait": False})["job_id"]
        return job_id

    def _known(self, job_id: str) -> bool:
        """Whether the job is there and did not end badly: one that did is worth another try."""
        if not job_id:
            return False
        try:
            return self._client.get(f"/jobs/{job_id}")["state"] not in (State.FAILED, State.CANCELLED)
        except NotFound:
            return False

    def _finished(self, job_id: str, shown: Shown) -> Json:
        """The job's result once it has one."""
        remember(self._folder, self._memory)  # so that a demo that is killed now finds the job again
        while True:
            job = self._client.get(f"/jobs/{job_id}")
            if State(job["state"]).final:
                _check(job)
                result: Json = job["result"]
                return result
            if job.get("progress"):
                shown.told("progress", job["progress"])
            time.sleep(_POLL_S)

    @contextmanager
    def _timed(self, name: str) -> Iterator[Shown]:
        started = time.monotonic()
        with self._stage(name) as shown:
            try:
                yield shown
            finally:
                spent_s = self._memory.took_s.get(name, 0.0) + time.monotonic() - started
                self._memory.took_s[name] = round(spent_s, 1)
                remember(self._folder, self._memory)


class _Progress:
    def __init__(self, total: int, start: int, shown: Shown) -> None:
        self._total, self._start, self._shown = total, start, shown
        self._started = time.monotonic()
        shown.told("progress", {"done": start, "total": total})

    def at(self, done: int) -> None:
        rate = (done - self._start) / max(time.monotonic() - self._started, 1e-9)
        left = (self._total - done) / max(rate, 1e-9)
        data = {"done": done, "total": self._total, "rate_per_s": rate, "eta_s": left}
        self._shown.told("progress", data)


def _batches(documents: Sequence[Document]) -> Iterator[Sequence[Document]]:
    for start in range(0, len(documents), _BATCH_DOCUMENTS):
        yield documents[start : start + _BATCH_DOCUMENTS]


def _judged(queries: Sequence[JudgedQuery]) -> Json:
    rows = [{"query_id": query.query_id, "text": query.text, "judgments": dict(query.judgments)} for query in queries]
    return {"queries": rows}


def _check(job: Mapping[str, Any]) -> None:
    if job["state"] != State.SUCCEEDED:
        raise from_problem(job.get("problem") or {})
