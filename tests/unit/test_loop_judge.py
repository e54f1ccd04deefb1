"""A model that judges a corpus: what it is asked, what is kept whatever happens, and what mining makes of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import handmade
import searched
from chat_server import ChatServer, Reply, Says, Seen, chat_server, judge
from tribrid.cloud import asker
from tribrid.config import Environment
from tribrid.errors import Erased, InvalidInput, JudgeUnavailable
from tribrid.loop import judge as module
from tribrid.loop.mine import mine
from tribrid.loop.params import JudgeParams, MineParams
from tribrid.mining.judge import query_sha256
from tribrid.types import Document, JudgedQuery, Source
from tribrid.types.stored import JudgedCounts
from tribrid.workspace.corpus import OpenCorpus, open_corpus
from tribrid.workspace.data_folder import DataFolder

pytestmark = pytest.mark.timeout(300)
THINGS = [f"{a}{b}" for a in ("bread", "soup", "pasta", "night") for b in "abcdef"]
DOCUMENTS = [Document(f"d{n}", f"how to read and write a {thing} by night") for n, thing in enumerate(THINGS)]
JUDGED = [
    JudgedQuery(f"j{n}", f"write a {thing} at home", {f"d{n}": 1, f"d{(n + 1) % 24}": 0, f"d{(n + 7) % 24}": 0})
    for n, thing in enumerate(THINGS[:12])
]
LOGGED = {f"read the {thing}": f"d{n}" for n, thing in enumerate(THINGS) if n >= 18}
SHOWN = [f"d{n}" for n in range(8)]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asker, "FIRST_WAIT_S", 0.01)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[DataFolder]:
    opened = handmade.opened(tmp_path)
    handmade.indexed(opened, "shop", DOCUMENTS)
    opened.store.judgments.put("shop", JUDGED, replace=True)
    from tribrid.logs.importing import import_logs

    import_logs(open_corpus(opened, "shop"), [searched.lines(LOGGED, SHOWN)], "native", handmade.nothing)
    yield opened
    opened.close()


def fair(query: str, text: str, _place: int) -> float:
    """Grades as people do: 2 for what the query names."""
    return 2.0 if set(query.split()) & set(THINGS) & set(text.split()) else 0.0


def set_up(folder: DataFolder, server: ChatServer, **more: Any) -> OpenCorpus:
    settings = {"base_url": server.url, "model": "m", "retries": 0, "depth": 4, **more}
    folder.store.settings.patch("shop", {"judging": settings})
    return open_corpus(folder, "shop")


def judged(folder: DataFolder, says: Says, of: Any = None, **more: Any) -> tuple[JudgedCounts, list[Seen]]:
    with chat_server(says) as server:
        corpus = set_up(folder, server, **more)
        return module.judge(corpus, JudgeParams(queries=20, of=of), handmade.nothing), server.seen


def labels(folder: DataFolder) -> dict[tuple[str, str], float | None]:
    corpus = open_corpus(folder, "shop")
    stored = folder.store.judge_labels.list("shop", module.judge_in_force(corpus))
    return {(label.query, label.doc_id): label.grade for label in stored}


def test_it_judges_what_people_judged_and_what_users_ask_in_both_orders(folder: DataFolder) -> None:
    counts, seen = judged(folder, judge(fair))
    assert counts["queries"] == len(JUDGED) + len(LOGGED)
    assert counts["asked"] == counts["answered"] == len(seen) == 2 * counts["queries"]
    assert (counts["failed"], counts["stopped"], counts["left_over"]) == (0, None, 0)
    found = labels(folder)
    assert len(found) == counts["documents"]
    assert found["write a breada at home", "d0"] == 2
    assert found["read the nighta", "d18"] == 2
    orders = [tuple(asked.judged[1].values()) for asked in seen if asked.judged[0] == "write a breada at home"]
    assert orders[0] == orders[1][::-1]
    assert counts["cost"]["usd"] == 0
    assert counts["cost"]["units"] == 100 * 2 * counts["documents"]


def test_what_is_answered_is_not_asked_again_and_another_guideline_is_another_judge(folder: DataFolder) -> None:
    with chat_server(judge(fair)) as server:
        corpus = set_up(folder, server)
        module.judge(corpus, JudgeParams(), handmade.nothing)
        before = len(server.seen)
        again = module.judge(corpus, JudgeParams(), handmade.nothing)
        assert (again["asked"], len(server.seen)) == (0, before)
        folder.store.settings.patch("shop", {"evaluation": {"guideline": "3: just so."}})
        corpus = open_corpus(folder, "shop")
        assert module.standing(corpus).labels == 0
        assert module.judge(corpus, JudgeParams(), handmade.nothing)["asked"] == before


def test_failed_items_are_asked_again_alone_and_the_rest_is_kept(folder: DataFolder) -> None:
    silent = {"on": True}

    def grades(query: str, text: str, place: int) -> float | None:
        missing = silent["on"] and "breada" in text and "breada" in query
        return None if missing else fair(query, text, place)

    counts, seen = judged(folder, judge(grades), of="people")
    asked_again = seen[2 * len(JUDGED) :]
    assert [list(one.judged[1].values()) for one in asked_again] == [[DOCUMENTS[0].text]] * 2
    assert counts["left_over"] == 2
    standing = module.standing(open_corpus(folder, "shop"))
    assert (standing.unanswered, standing.labels) == (1, 3 * len(JUDGED) - 1)
    silent["on"] = False
    again, seen = judged(folder, judge(grades), of="people")
    assert (again["asked"], again["left_over"], len(seen)) == (2, 0, 2)


def test_a_judge_that_fails_in_the_middle_costs_its_rows_alone_and_the_next_goes_on(folder: DataFolder) -> None:
    def says(seen: Seen, before: int) -> Reply:
        return judge(fair)(seen, before) if before < 5 else Reply(b"junk")

    counts, _ = judged(folder, says, of="people", concurrency=1)
    assert (counts["answered"], counts["stopped"]) == (5, "failures")
    rows = folder.store.judge_labels.list("shop", module.judge_in_force(open_corpus(folder, "shop")))
    assert all("something else than a chat completion" in (row.failure or "") for row in rows if row.grade is None)
    rest, _ = judged(folder, judge(fair), of="people")
    assert rest["asked"] == 2 * len(JUDGED) - 5
    assert rest["left_over"] == 0


def test_a_judge_that_is_not_there_says_so_and_leaves_everything_as_it_was(folder: DataFolder) -> None:
    with chat_server() as server:
        corpus = set_up(folder, server)
    with pytest.raises(JudgeUnavailable, match=r"judging\.base_url: .* cannot be reached"):
        module.judge(corpus, JudgeParams(), handmade.nothing)
    _, mined = mine(corpus, MineParams(), handmade.nothing)
    assert mined.counts["by_source"]["judgments"]["pairs"] > 0
    assert mined.counts["by_source"]["judge"]["pairs"] == 0


def test_budgets_end_it_and_the_next_one_goes_on(folder: DataFolder) -> None:
    counts, seen = judged(folder, judge(fair), of="people", max_questions=7)
    assert (len(seen), counts["stopped"], counts["left_over"]) == (7, "questions", 2 * len(JUDGED) - 7)
    dear = {"model": "gpt-5.4-nano", "max_output_tokens": 64, "budget_usd": 0.0015, "max_questions": 500}
    counts, seen = judged(folder, judge(fair), of="people", **dear)
    assert counts["stopped"] == "budget"
    assert 0 < len(seen) < 2 * len(JUDGED)
    assert 0 < counts["cost"]["usd"] <= 0.0015


def test_agreement_decides_what_its_labels_count(folder: DataFolder) -> None:
    assert module.standing(open_corpus(folder, "shop")).told.startswith("Whether it agrees with people is not known.")
    judged(folder, judge(fair))
    corpus = open_corpus(folder, "shop")
    good = module.standing(corpus)
    assert (good.agreement.kappa, good.agreement.low, good.weight) == (1, 1, 0.5)
    assert good.same_grade == 1
    assert good.told.startswith("It agrees with people: kappa 1.00")
    judged(folder, judge(lambda query, text, place: float((len(text) + place) % 2)), model="blind")
    bad = module.standing(open_corpus(folder, "shop"))
    assert bad.weight == 0.1
    assert bad.told.startswith("It does not surely agree with people")


def test_its_labels_are_mined_after_people_and_users_and_never_for_an_eval_query(folder: DataFolder) -> None:
    judged(folder, judge(fair))
    corpus = open_corpus(folder, "shop")
    _, mined = mine(corpus, MineParams(), handmade.nothing)
    assert mined.counts["judge"]["weight"] == 0.5
    people = {(t.query, t.positive[0]) for t in mined.triplets if t.source is not Source.JUDGE}
    of_judge = [t for t in mined.triplets if t.source is Source.JUDGE]
    assert not {(t.query, t.positive[0]) for t in of_judge} & people
    alone = mine(corpus, MineParams(sources=(Source.JUDGE,)), handmade.nothing)[1].triplets
    assert all(t.source is Source.JUDGE and t.weight <= 0.5 for t in alone)

    folder.store.judgments.put("shop", [], replace=True)
    _, mined = mine(corpus, MineParams(sources=(Source.JUDGE,)), handmade.nothing)
    taught = {t.query for t in mined.triplets}
    assert "write a breada at home" in taught
    assert mined.counts["judge"]["weight"] == 0.1
    folder.store.evalsets.put("shop", JUDGED, "nDCG@10", None)
    _, mined = mine(open_corpus(folder, "shop"), MineParams(sources=(Source.JUDGE,)), handmade.nothing)
    assert not {t.query for t in mined.triplets} & {query.text for query in JUDGED}


def test_nothing_is_kept_of_what_was_erased_meanwhile_and_an_erasure_takes_labels_too(folder: DataFolder) -> None:
    def says(seen: Seen, before: int) -> Reply:
        if before == 2:
            folder.store.erasures.document("shop", "d5")
        return judge(fair)(seen, before)

    with pytest.raises(Erased):
        judged(folder, says, of="people", concurrency=1)
    judged(folder, judge(fair), of="people")
    assert ("write a breada at home", "d0") in labels(folder)
    done = folder.store.erasures.document("shop", "d0")
    assert done.report.erased["judge_labels"] > 0
    assert not [doc_id for _, doc_id in labels(folder) if doc_id == "d0"]
    done = folder.store.erasures.query("shop", lambda text: query_sha256(text) == query_sha256(JUDGED[3].text))
    assert done.report.erased["judge_labels"] > 0
    assert not [query for query, _ in labels(folder) if query == JUDGED[3].text]


def test_a_document_that_says_something_else_is_judged_anew(folder: DataFolder) -> None:
    judged(folder, judge(fair), of="people")
    folder.store.documents.upsert("shop", [replace(DOCUMENTS[0], text="quite another text")])
    counts, _ = judged(folder, judge(fair), of="people")
    assert 0 < counts["asked"] < 2 * len(JUDGED)


@pytest.mark.parametrize(
    ("more", "named"),
    [
        ({"base_url": None}, "judging.base_url"),
        ({"model": None}, "judging.model"),
        ({"budget_usd": 1.0, "provider": "acme"}, "judging.budget_usd"),
    ],
)
def test_settings_that_cannot_work_name_themselves(folder: DataFolder, more: dict[str, Any], named: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        judged(folder, judge(fair), **more)
    assert caught.value.facts["setting"] == named


def test_an_address_that_the_operator_does_not_allow_is_not_asked(folder: DataFolder) -> None:
    with chat_server(judge(fair)) as server:
        set_up(folder, server)
        closed = folder.environment.model_copy(update={"outbound_hosts": "judge.example"})
        assert isinstance(closed, Environment)
        folder.environment = closed
        with pytest.raises(InvalidInput, match="TRIBRID_OUTBOUND_HOSTS"):
            module.judge(open_corpus(folder, "shop"), JudgeParams(), handmade.nothing)
        assert server.seen == []
