"""judge: a model grades documents that people graded, to see whether it agrees with them, and documents of logged
queries, to learn from.

Every answer is kept as it comes, so whatever ends a judging, the next one asks only what is missing.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from tribrid.answers.judging import JudgeAgreement, JudgeStanding
from tribrid.cloud.allowed import check_address
from tribrid.cloud.asker import JUDGING, key_for
from tribrid.cloud.judge import Judge, Judged
from tribrid.errors import InvalidInput
from tribrid.evaluation.agreement import Agreed, agreement, pairs_of
from tribrid.loop.asking import Asked, Round, Tariff, Trouble, check_model, refuse_useless, tell
from tribrid.loop.eval_queries import dataset_in_force, eval_queries_of
from tribrid.loop.index import catch_up
from tribrid.loop.nextlabels import rank_queries, scorers_of
from tribrid.loop.params import JudgeParams
from tribrid.mining.judge import UNSURE, Given, Question, Shown, judge_sha256, query_sha256, questions
from tribrid.mining.splits import QueryMatcher
from tribrid.store.database import now_us
from tribrid.types import Emit, JudgedQuery, Passage
from tribrid.types.judging import JudgeLabel
from tribrid.types.stored import JudgedCounts
from tribrid.workspace.corpus import OpenCorpus

PEOPLE, LOG = "people", "log"
MOST_OF_PEOPLE = 20
"""Documents of a query that people judged and the model judges again: half of them relevant, if there are as many."""
QUESTIONS = "questions"
_CROWD = 4
"""As many frequent queries are looked at for each that is wanted: some are judged, or near the eval dataset's."""
_SEED = 13
_ROUNDS = 2
"""What failed is asked again, alone, once."""


@dataclass(frozen=True, slots=True)
class Listed:
    """Documents to be judged for a query, in the order that is called forward."""

    query: str
    documents: tuple[Shown, ...]


def check(corpus: OpenCorpus) -> None:
    """Whether a model could judge with the settings in force.

    Raises:
        InvalidInput: no server is set, or as `check_model`; names the setting.
        JudgeUnavailable: the address is none.
    """
    config = corpus.config.judging
    if config.base_url is None:
        raise InvalidInput(
            "judging.base_url: name the server whose model is to judge, and judging.model.", setting="judging.base_url"
        )
    check_model(JUDGING, config, corpus.folder.prices)


def judge(corpus: OpenCorpus, params: JudgeParams, emit: Emit) -> JudgedCounts:
    """Ask about all that is wanted and not answered yet.

    Raises:
        InvalidInput: as `check`, or the address is not allowed.
        JudgeUnavailable: nothing was answered; says why.
        Erased: something was erased meanwhile, which the model may have been shown.
    """
    check(corpus)
    config, environment = corpus.config.judging, corpus.folder.environment
    base_url = config.base_url or ""
    check_address(environment, "judging", "base_url", base_url)
    key = key_for(base_url, environment.cloud_keys, environment.address("judging", "base_url"), JUDGING)
    erasures = corpus.store.erasures.count(corpus.corpus_id)
    catch_up(corpus, emit)
    tariff, started = Tariff(corpus.folder.prices, config), time.monotonic()
    work = _Work(corpus, tariff, wanted(corpus, params, emit), erasures)
    asked: Asked[Judged] = Asked()
    with Judge(config, key) as client:
        asking = Round(client.ask, tariff, "judge", emit, work.heard)
        for _ in range(_ROUNDS):
            room = config.max_questions - len(asked.answers)
            left = work.left()
            if left and asked.stopped is None:
                asking.run(left[:room], asked)
    left_over = work.left()
    if left_over and asked.stopped is None and len(asked.answers) >= config.max_questions:
        asked.stopped = QUESTIONS
    refuse_useless(JUDGING, asked)
    tell(JUDGING, asked, "the judge", emit)
    cost = tariff.cost(asked.prompt_tokens, asked.output_tokens, round(time.monotonic() - started, 3))
    return {
        "queries": len(work.lists),
        "documents": sum(len(listed.documents) for listed in work.lists),
        "asked": len(asked.answers),
        "answered": len(asked.answers) - asked.failed,
        "failed": asked.failed,
        "stopped": asked.stopped,
        "trouble": asked.trouble.detail if asked.trouble else None,
        "left_over": len(left_over),
        "cost": cost.model_dump(mode="json", exclude_unset=True),
    }


@dataclass(slots=True)
class _Work:
    """What is to be judged, and what is known of it by now."""

    corpus: OpenCorpus
    tariff: Tariff
    lists: Sequence[Listed]
    erasures: int
    known: dict[tuple[str, str], JudgeLabel] = field(init=False)
    sha256: str = field(init=False)

    def __post_init__(self) -> None:
        self.sha256 = judge_in_force(self.corpus)
        stored = self.corpus.store.judge_labels.list(self.corpus.corpus_id, self.sha256)
        self.known = {(label.query_sha256, label.doc_id): label for label in stored}

    def left(self) -> list[Question]:
        """The questions that have no answer."""
        config, guideline = self.corpus.config.judging, self.corpus.config.evaluation.guideline
        found: list[Question] = []
        for listed in self.lists:
            labels = {shown.doc_id: self._label(listed.query, shown) for shown in listed.documents}
            missing = {
                False: {doc_id for doc_id, label in labels.items() if label.forward is None},
                True: {doc_id for doc_id, label in labels.items() if label.backward is None},
            }
            found += questions(listed.query, listed.documents, missing, config.documents_per_question, guideline)
        return found

    def _label(self, query: str, shown: Shown) -> JudgeLabel:
        """As it is known; a new one for a document that says something else by now."""
        query_sha = query_sha256(query)
        known = self.known.get((query_sha, shown.doc_id))
        if known is not None and known.shown_sha256 == shown.sha256:
            return known
        model = self.corpus.config.judging.model or ""
        return JudgeLabel(query, query_sha, shown.doc_id, model, self.sha256, shown.sha256)

    def heard(self, question: Question, answer: Judged | Trouble) -> None:
        """Keep what was answered, or why nothing was, at once."""
        labels = [self._label(question.query, shown) for shown in question.documents]
        if isinstance(answer, Judged):
            used, count = self.tariff.used(question, answer), len(labels)
            usd = self.tariff.cost(*used).usd
            paid = [_paid(label, sum(used) // count, None if usd is None else usd / count) for label in labels]
            labels = [_graded(label, one, question) for label, one in zip(paid, answer.given, strict=True)]
        else:
            labels = [replace(label, failure=answer.detail) for label in labels]
        labels = [replace(label, judged_us=now_us()) for label in labels]
        self.known |= {(label.query_sha256, label.doc_id): label for label in labels}
        self.corpus.store.judge_labels.put(self.corpus.corpus_id, labels, self.erasures)


def _paid(label: JudgeLabel, tokens: int, usd: float | None) -> JudgeLabel:
    """The label with its part of what a question cost; unknown as soon as one part is."""
    whole = None if usd is None or label.usd is None else label.usd + usd
    return replace(label, tokens=label.tokens + tokens, usd=whole)


def _graded(label: JudgeLabel, given: Given | None, question: Question) -> JudgeLabel:
    """The label with the grade of one order."""
    if given is None:
        return replace(label, failure="The answer leaves this document out.")
    told = replace(label, reason=given.reason or label.reason, failure=None)
    return replace(told, backward=given.grade) if question.backward else replace(told, forward=given.grade)


def judge_in_force(corpus: OpenCorpus) -> str:
    """The hash of the judge that the settings name."""
    config = corpus.config.judging
    return judge_sha256(config.protocol, config.model or "", corpus.config.evaluation.guideline, config.document_chars)


# ------------------------------------------------------------------------------------------------ what is judged


def wanted(corpus: OpenCorpus, params: JudgeParams, emit: Emit) -> list[Listed]:
    """The lists to judge: what people judged first, so that it is seen how far the model can be believed."""
    found: list[Listed] = []
    people = people_said(corpus)
    if params.of in (None, PEOPLE):
        found += _of_people(corpus, people, params.queries)
    if params.of in (None, LOG):
        emit("log", {"message": "ranking the frequent queries of the log"})
        found += _of_log(corpus, [text for text, _ in people.values()], params.queries)
    return found


def people_said(corpus: OpenCorpus) -> dict[str, tuple[str, dict[str, int]]]:
    """What people judged, and no model alone, to train from or to decide on.

    Returns:
        The query's hash → its text, and doc_id → grade.
    """
    dataset = dataset_in_force(corpus)
    judged = [query for query in corpus.store.judgments.list(corpus.corpus_id) if query.judgments]
    if dataset is not None and dataset.evidence is None:
        judged += dataset.queries
    found: dict[str, tuple[str, dict[str, int]]] = {}
    for query in judged:
        grades = found.setdefault(query_sha256(query.text), (query.text, {}))[1]
        for doc_id, grade in query.judgments.items():
            grades[doc_id] = max(grade, grades.get(doc_id, grade))
    return found


def _of_people(corpus: OpenCorpus, people: Mapping[str, tuple[str, dict[str, int]]], most: int) -> list[Listed]:
    """Queries whose documents people graded differently come first: of the others agreement cannot be told."""

    def telling(sha256: str) -> tuple[bool, str]:
        return len(set(people[sha256][1].values())) < 2, sha256

    found = []
    for sha256 in sorted(people, key=telling)[:most]:
        text, grades = people[sha256]
        relevant = [doc_id for doc_id in _mixed(text, grades) if grades[doc_id] > 0][: MOST_OF_PEOPLE // 2]
        others = [doc_id for doc_id in _mixed(text, grades) if grades[doc_id] <= 0]
        chosen = {*relevant, *others[: MOST_OF_PEOPLE - len(relevant)]}
        found.append(_listed(corpus, text, [doc_id for doc_id in _mixed(text, grades) if doc_id in chosen], {}))
    return [listed for listed in found if listed.documents]


def _mixed(query: str, doc_ids: Mapping[str, int]) -> list[str]:
    """In an order that says nothing of their grades, the same every time."""
    return sorted(doc_ids, key=lambda doc_id: hashlib.sha256(f"{query}\0{doc_id}".encode(errors="replace")).digest())


def _of_log(corpus: OpenCorpus, judged: Sequence[str], most: int) -> list[Listed]:
    """The queries that most clients ask, with the first documents of all that ranks here: those that nobody judged, and
    that no eval dataset asks, since of these nothing may be learned.
    """
    asked = corpus.store.logs.crowd(corpus.corpus_id, _CROWD * most).queries
    done = QueryMatcher([*judged, *(query.text for query in eval_queries_of(corpus))])
    new: list[tuple[str, int, JudgedQuery | None]] = []
    for text, clients in asked.items():
        if len(new) < most and not done.matches(text):
            new.append((text, clients, None))
    if not new:
        return []
    depth = corpus.config.judging.depth
    ranked, passages = rank_queries(corpus, new, *scorers_of(corpus), depth=depth)
    lists = [_listed(corpus, one.text, one.pool(_SEED, depth), passages[one.text]) for one in ranked]
    return [listed for listed in lists if listed.documents]


def _listed(corpus: OpenCorpus, query: str, doc_ids: Sequence[str], passages: Mapping[str, Passage]) -> Listed:
    """With what the model is shown: the whole document where it is short, else the passage that was found, or its
    beginning.
    """
    chars = corpus.config.judging.document_chars
    documents = corpus.store.documents.get_many(corpus.corpus_id, doc_ids)

    def text(doc_id: str) -> str:
        whole = documents[doc_id].text
        passage = passages.get(doc_id)
        return (whole if passage is None or len(whole) <= chars else passage.text)[:chars]

    shown = (Shown(doc_id, documents[doc_id].title, text(doc_id)) for doc_id in doc_ids if doc_id in documents)
    return Listed(query, tuple(shown))


# ------------------------------------------------------------------------------------------------ what it is worth


def agreed(corpus: OpenCorpus, labels: Sequence[JudgeLabel]) -> Agreed:
    """How well these labels agree with what people said."""
    said: dict[str, dict[str, float]] = {}
    for label in labels:
        if label.grade is not None:
            said.setdefault(label.query_sha256, {})[label.doc_id] = label.grade
    people = {sha256: grades for sha256, (_, grades) in people_said(corpus).items()}
    evaluation = corpus.config.evaluation
    return agreement(pairs_of(people, said), confidence=evaluation.confidence, seed=evaluation.seed)


def weight_of(corpus: OpenCorpus, found: Agreed) -> float:
    """What the labels count for in mining, 0..1."""
    config = corpus.config.judging
    proven = found.low is not None and found.low >= config.least_agreement
    return config.weight if proven else config.unproven_weight


def standing(corpus: OpenCorpus) -> JudgeStanding:
    """The judge in force, its agreement with people, and what its labels count for."""
    config, sha256 = corpus.config.judging, judge_in_force(corpus)
    labels = corpus.store.judge_labels.list(corpus.corpus_id, sha256)
    whole = [label for label in labels if label.grade is not None]
    found = agreed(corpus, labels)
    weight = weight_of(corpus, found)
    same = sum(int((one.forward or 0) + 0.5) == int((one.backward or 0) + 0.5) for one in whole)
    return JudgeStanding(
        corpus_id=corpus.corpus_id,
        judge=config.model,
        protocol=config.protocol,
        judge_sha256=sha256,
        guideline=corpus.config.evaluation.guideline,
        labels=len(whole),
        unanswered=len(labels) - len(whole),
        same_grade=round(same / len(whole), 4) if whole else None,
        unsure=sum(one.apart > UNSURE for one in whole),
        agreement=JudgeAgreement(
            pairs=found.pairs,
            queries=found.queries,
            kappa=found.kappa,
            low=found.low,
            high=found.high,
            table=tuple(tuple(row) for row in found.table),
            why=found.why,
        ),
        weight=weight,
        told=_told(found, weight, config.least_agreement),
    )


def _told(found: Agreed, weight: float, least: float) -> str:
    counted = f"Its labels count {weight:g} in mining." if weight else "Nothing is learned from its labels."
    if found.kappa is None or found.low is None or found.high is None:
        kappa = "" if found.kappa is None else f" Kappa is {found.kappa:.2f}."
        return f"Whether it agrees with people is not known.{kappa} {found.why} {counted}"
    interval = f"kappa {found.kappa:.2f} ({found.low:.2f} to {found.high:.2f})"
    how = "It agrees with people" if found.low >= least else "It does not surely agree with people"
    return f"{how}: {interval} on {found.pairs:,} documents of {found.queries:,} queries. {counted}"
