"""What an agent may do. A tool is a method; its docstring is what the agent reads of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal, NamedTuple

from pydantic import BaseModel, Field

from tribrid.answers.corpora import CorpusFacts
from tribrid.answers.documents import DocumentAnswer
from tribrid.answers.evaluations import EvaluationRow
from tribrid.answers.jobs import EvaluationResult
from tribrid.answers.readiness import Readiness
from tribrid.answers.report import EvaluationReport
from tribrid.api.auth import Caller
from tribrid.api.facade import as_seen_by
from tribrid.app import Tribrid
from tribrid.types import Scope, Signal

LISTED_EVALUATIONS = 20

CorpusId = Annotated[str, Field(description="As `corpora` lists them.")]
Grade = Annotated[int, Field(ge=0, le=3, description="0: not relevant, 1: related, 2: relevant, 3: answers it.")]


class Found(BaseModel):
    """A document by its best passage."""

    rank: int
    doc_id: str
    title: str
    uri: str
    passage: str
    score: float = Field(description="What the order is by. It does not compare between queries.")


class SearchFound(BaseModel):
    """What a search showed, best first."""

    query_id: str = Field(description="For `feedback`.")
    reranked_by: str | None = Field(description="Null: the order is the retrieval's.")
    results: list[Found]


class Corpora(BaseModel):
    """Every corpus that there is to see."""

    corpora: list[CorpusFacts]


class EvaluationsOf(BaseModel):
    """The newest evaluations of a corpus."""

    evaluations: list[EvaluationRow]


class GuardFound(BaseModel):
    """Something that the gate looked at and did not like."""

    name: str
    detail: str


class Report(BaseModel):
    """An evaluation in short: is the trained ranking better, by how much, and may it serve."""

    evaluation_id: str
    decision: Literal["promote", "keep"]
    promoted: bool = Field(description="Whether it serves because of this evaluation.")
    reasons: list[str]
    measure: str = Field(description="Of the decision.")
    before: float | None
    after: float | None
    change: float | None
    ci95: tuple[float, float] | None = Field(description="95 % interval of the change.")
    queries: int | None
    failed_guards: list[GuardFound]


class Judged(BaseModel):
    """What this agent said of a query so far."""

    query_id: str
    query: str
    grades: dict[str, int] = Field(description="By doc_id.")


class Job(BaseModel):
    """Work that goes on by itself."""

    job_id: str
    state: str
    evaluation_id: str | None = Field(description="What came of it; null: not yet.")
    problem: str | None


class Tools:
    """The tools of one caller."""

    def __init__(self, tribrid: Tribrid, caller: Callable[[], Caller]) -> None:
        """Take how to ask, at each call, who calls: his key may have ended."""
        self._tribrid, self._caller = tribrid, caller

    def _seen(self) -> Tribrid:
        return as_seen_by(self._caller(), self._tribrid)

    def corpora(self) -> Corpora:
        """List the corpora: collections of documents that can be searched."""
        return Corpora(corpora=[corpus.describe() for corpus in self._seen().corpora()])

    def search(self, corpus_id: CorpusId, query: str, top_k: Annotated[int, Field(ge=1, le=100)] = 10) -> SearchFound:
        """Search a corpus for a question or for words. Results are passages; `document` has the whole text.

        The search is logged under its query_id, so that `feedback` can say which result helped.
        """
        # One client, however often it asks: what learns from the log counts clients, not searches.
        found = self._seen().corpus(corpus_id).search(query, top_k, client_id=f"mcp:{self._caller().name}")
        results = [
            Found(rank=row.rank, doc_id=row.doc_id, title=row.title, uri=row.uri, passage=row.text, score=row.score)
            for row in found.results
        ]
        return SearchFound(query_id=found.query_id, reranked_by=found.model_id, results=results)

    def document(self, corpus_id: CorpusId, doc_id: str) -> DocumentAnswer:
        """Read a whole document."""
        return self._seen().corpus(corpus_id).documents.get(doc_id)

    def readiness(self, corpus_id: CorpusId) -> Readiness:
        """Say whether a corpus has enough labels and judged queries to train a ranking and to prove it better."""
        return self._seen().corpus(corpus_id).readiness()

    def evaluations(self, corpus_id: CorpusId) -> EvaluationsOf:
        """List a corpus's evaluations, newest first: each compared the ranking before and after a training."""
        return EvaluationsOf(evaluations=self._seen().corpus(corpus_id).evaluations(LISTED_EVALUATIONS))

    def report(self, evaluation_id: str) -> Report:
        """Read an evaluation: the measure before and after, the interval of the change, and what the gate decided."""
        return _short(self._seen().evaluations.get(evaluation_id))

    def job(self, job_id: str) -> Job:
        """Say how a job of `evaluate` stands."""
        status = self._seen().jobs.get(job_id)
        return Job(
            job_id=job_id,
            state=status.state,
            evaluation_id=status.result.evaluation_id if isinstance(status.result, EvaluationResult) else None,
            problem=None if status.problem is None else status.problem.detail,
        )

    def feedback(
        self,
        query_id: str,
        signal: Signal,
        doc_id: str | None = None,
        value: Annotated[float | None, Field(description="Of dwell: seconds. Of rating: 1 to 5.")] = None,
    ) -> str:
        """Say what was done with a result of `search`: a click, a copy, a citation, thumbs up or down, a rating. The
        ranking learns from it.
        """
        self._seen().feedback(query_id, signal, doc_id=doc_id, value=value)
        return f"Logged {signal}."

    def judge(self, corpus_id: CorpusId, query: str, doc_id: str, grade: Grade) -> Judged:
        """Keep how relevant a document is for a query, as a model's word beside people's. How far the two agree is
        shown to people; nothing is learned from it, and nothing measured by it.
        """
        judge = f"mcp:{self._caller().label}"
        judgments = self._seen().corpus(corpus_id).judgments
        kept = judgments.grade(None, query, doc_id, grade, judge=judge, by="model")
        said = [rating for rating in judgments.ratings(kept.query_id).ratings if rating.judge == judge]
        return Judged(query_id=kept.query_id, query=kept.text, grades={rating.doc_id: rating.grade for rating in said})

    def evaluate(self, corpus_id: CorpusId) -> Job:
        """Measure the newest trained ranking against what serves now, on the eval dataset. It is promoted where it wins
        and the gate lets it pass. Takes minutes: ask `job` how it stands.
        """
        return self.job(self._seen().corpus(corpus_id).submit_evaluate().job_id)


def _short(report: EvaluationReport) -> Report:
    key, change = report.primary_measure, report.primary_delta
    guards = report.gate.guards if report.gate else ()
    return Report(
        evaluation_id=report.evaluation_id or "",
        decision=report.verdict.decision,
        promoted=report.promoted,
        reasons=list(report.verdict.reasons),
        measure=key,
        before=report.before[key] if report.before else None,
        after=report.after[key] if report.after else None,
        change=change.mean if change else None,
        ci95=change.ci95 if change else None,
        queries=change.queries if change else None,
        failed_guards=[GuardFound(name=guard.name, detail=guard.detail) for guard in guards if guard.passed is False],
    )


class Tool(NamedTuple):
    """A tool: its name, whether it only reads, and which scopes may use it, as over HTTP."""

    name: str
    reads: bool
    scopes: tuple[Scope, ...]


TOOLS = (
    Tool("corpora", True, (Scope.SEARCH, Scope.TRAIN)),
    Tool("search", True, (Scope.SEARCH,)),
    Tool("document", True, (Scope.SEARCH, Scope.TRAIN)),
    Tool("readiness", True, (Scope.TRAIN,)),
    Tool("evaluations", True, (Scope.TRAIN,)),
    Tool("report", True, (Scope.TRAIN,)),
    Tool("job", True, (Scope.TRAIN,)),
    Tool("feedback", False, (Scope.FEEDBACK,)),
    Tool("judge", False, (Scope.TRAIN,)),
    Tool("evaluate", False, (Scope.TRAIN,)),
)
