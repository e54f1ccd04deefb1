"""The gate's guard against few clients, on a real log and a model that remembers."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

import handmade
from tribrid.answers.report import Risers
from tribrid.loop.evaluate import evaluate
from tribrid.loop.params import EvaluateParams
from tribrid.loop.risers import find_risers
from tribrid.loop.search import Asked, log, search
from tribrid.types import Document, JudgedQuery, Signal, Source, Triplet
from tribrid.workspace.corpus import OpenCorpus, open_corpus
from tribrid.workspace.data_folder import DataFolder

pytestmark = pytest.mark.timeout(120)
QUERY = "index book"
DEEP = 15
_numbers = itertools.count()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DataFolder]:
    opened = handmade.opened(tmp_path_factory.mktemp("data"))
    yield opened
    opened.close()


@pytest.fixture
def corpus(folder: DataFolder) -> OpenCorpus:
    """A corpus in which a dozen clients use the first document that the query finds."""
    corpus_id = f"c{next(_numbers)}"
    documents = [Document(f"d{n:02}", f"index book {'page ' * n}chapter {n}") for n in range(20)]
    handmade.indexed(folder, corpus_id, documents)
    opened = open_corpus(folder, corpus_id)
    for number in range(12):
        use(opened, 1, f"user {number}")
    return opened


def use(corpus: OpenCorpus, rank: int, client_id: str | None, query: str = QUERY) -> str:
    """A client uses the document at this rank; its id."""
    found = search(corpus, Asked(query, 20, client_id=client_id))
    doc_id = found.shown[rank - 1].doc_id
    log(corpus.store, found.impression.query_id, Signal.CLICK, doc_id, None)
    return doc_id


def taught(doc_id: str, query: str = QUERY, source: Source = Source.LOGS) -> Triplet:
    worse = "d00" if doc_id != "d00" else "d01"
    return Triplet(f"id of {query}", query, (doc_id, 0), (worse, 0), source, 1.0, "clicked")


def found(corpus: OpenCorpus, *triplets: Triplet, **gate: int) -> Risers:
    opened = corpus.with_params("gate", gate)
    model = opened.learned(handmade.remembering(corpus.folder, corpus.corpus_id, triplets))
    risers, failed = find_risers(opened, model, None, triplets, handmade.nothing)
    assert failed == {}
    return risers


def test_what_one_client_lifts_is_named(corpus: OpenCorpus) -> None:
    doc_id = use(corpus, DEEP, "eve")
    risers = found(corpus, taught(doc_id))
    (named,) = risers.named
    assert (named.query, named.doc_id, named.before, named.after, named.clients) == (QUERY, doc_id, DEEP, 1, 1)
    assert named.without == DEEP
    assert (risers.skipped, risers.queries, risers.clients, risers.risen) == (None, 1, 13, 1)


def test_what_the_weights_learned_from_one_client_against_many_is_named(corpus: OpenCorpus) -> None:
    """A model that turns the order over lifts it without remembering anything."""
    first, doc_id = use(corpus, 1, "ann"), use(corpus, DEEP, "eve")
    triplets = [taught(doc_id), taught(first)]
    turned = corpus.learned(handmade.model(corpus.folder, corpus.corpus_id, -1.0))
    risers, _ = find_risers(corpus, turned, None, triplets, handmade.nothing)
    (named,) = risers.named
    assert (named.doc_id, named.before, named.after, named.without, named.clients) == (doc_id, DEEP, 6, None, 1)
    assert risers.risen == 10, "what rises with it has nobody behind it"


def test_one_client_in_other_words_is_one_client(corpus: OpenCorpus) -> None:
    doc_id = use(corpus, DEEP, "eve")
    words = ("books of the index", "which index book", "page index book")
    for query in words:
        found_there = search(corpus, Asked(query, 20, client_id="eve"))
        log(corpus.store, found_there.impression.query_id, Signal.THUMBS_UP, doc_id, None)
    (named,) = found(corpus, *(taught(doc_id, query) for query in (QUERY, *words))).named
    assert (named.doc_id, named.clients) == (doc_id, 1)


def test_two_who_agree_are_believed_and_how_many_it_takes_is_a_setting(corpus: OpenCorpus) -> None:
    doc_id = use(corpus, DEEP, "eve")
    use(corpus, DEEP, "ann")
    assert found(corpus, taught(doc_id)).named == ()
    (named,) = found(corpus, taught(doc_id), least_clients=3).named
    assert named.clients == 2
    skipped = found(corpus, taught(doc_id), least_clients=1).skipped
    assert skipped is not None
    assert "gate.least_clients is 1" in skipped
    assert found(corpus, taught(doc_id), frequent_queries=0).skipped == skipped


@pytest.mark.parametrize(("asked", "named"), [("index book page", False), ("chapter", True)])
def test_who_used_it_for_a_query_like_this_one_agrees(corpus: OpenCorpus, asked: str, named: bool) -> None:
    doc_id = use(corpus, DEEP, "eve")
    log(corpus.store, search(corpus, Asked(asked, 20, client_id="ann")).impression.query_id, Signal.CLICK, doc_id, None)
    assert bool(found(corpus, taught(doc_id)).named) is named


def test_all_without_a_name_are_one(corpus: OpenCorpus) -> None:
    doc_id = use(corpus, DEEP, None)
    use(corpus, DEEP, None)
    (named,) = found(corpus, taught(doc_id)).named
    assert named.clients == 1


def test_what_judges_said_is_no_client_s(corpus: OpenCorpus) -> None:
    doc_id = use(corpus, DEEP, "eve")
    risers = found(corpus, taught(doc_id), taught(doc_id, source=Source.JUDGMENTS))
    assert (risers.named, risers.risen) == ((), 1)


def test_a_model_that_says_the_same_is_no_second_client(corpus: OpenCorpus) -> None:
    doc_id = use(corpus, DEEP, "eve")
    (named,) = found(corpus, taught(doc_id), taught(doc_id, source=Source.JUDGE)).named
    assert named.clients == 1


def test_what_rises_without_a_click_is_not_named(corpus: OpenCorpus) -> None:
    """Somebody judged it; or whoever used it is no longer in the log."""
    doc_id = search(corpus, Asked(QUERY, 20)).shown[DEEP - 1].doc_id
    risers = found(corpus, taught(doc_id))
    assert (risers.named, risers.risen) == ((), 1)


def test_what_only_one_client_asks_is_nobody_else_s_search(corpus: OpenCorpus) -> None:
    query = "chapter 7 of the index"
    doc_id = use(corpus, DEEP, "eve", query)
    risers = found(corpus, taught(doc_id, query))
    assert [named.query for named in risers.named] in ([], [QUERY])
    assert risers.queries == 1


def test_a_corpus_of_few_is_told_that_it_does_not_apply(folder: DataFolder) -> None:
    corpus_id = f"c{next(_numbers)}"
    handmade.indexed(folder, corpus_id, [Document(f"d{n:02}", f"index book {n}") for n in range(20)])
    mine = open_corpus(folder, corpus_id)
    doc_id = use(mine, DEEP, "me")
    risers = found(mine, taught(doc_id))
    assert (risers.named, risers.clients) == ((), 1)
    assert risers.skipped is not None
    assert "the log has 1 client" in risers.skipped


def test_the_report_names_it_and_nothing_is_promoted(corpus: OpenCorpus) -> None:
    """The eval dataset asks for what the model has learned; the gate refuses it for what it did to others."""
    doc_id = use(corpus, DEEP, "eve")
    asked = {name: f"{name} index book" for name in ("red", "blue", "green", "old", "new", "thin")}
    last = search(corpus, Asked(QUERY, 20)).shown[-1].doc_id
    corpus.store.evalsets.put(
        corpus.corpus_id, [JudgedQuery(name, text, {last: 1}) for name, text in asked.items()], "nDCG@10"
    )
    model_id = handmade.remembering(
        corpus.folder, corpus.corpus_id, [taught(doc_id), taught(last, source=Source.JUDGMENTS)]
    )
    report = evaluate(
        open_corpus(corpus.folder, corpus.corpus_id), "e", EvaluateParams(model_id=model_id), handmade.nothing
    )
    assert report.risers is not None
    assert [named.doc_id for named in report.risers.named] == [doc_id]
    (guard,) = (guard for guard in (report.gate.guards if report.gate else ()) if guard.name == "few_clients")
    assert guard.passed is False
    assert f"{doc_id!r} for {QUERY!r} from rank {DEEP} to" in guard.detail
    assert guard.detail in report.verdict.reasons
    assert not report.promoted
