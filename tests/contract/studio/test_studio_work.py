"""What people do in the studio: search, judge, review, bring things in, set and start; by keys, or without a script."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, FilePayload, Page, Request, expect

from http_examples import DOCUMENTS
from studios import CORPUS, Studio
from tribrid.app.corpus import Corpus
from tribrid.types import Document, JudgedQuery
from tribrid.types.evidence import LogEvidence

pytestmark = pytest.mark.timeout(300)
JUDGED = "judged"


@pytest.fixture
def page(browser: Browser, served: Studio) -> Iterator[Page]:
    context = browser.new_context(base_url=served.server.url)
    yield context.new_page()
    context.close()


@pytest.fixture
def bare(browser: Browser, served: Studio) -> Iterator[Page]:
    """A browser that runs no script."""
    context = browser.new_context(base_url=served.server.url, java_script_enabled=False)
    yield context.new_page()
    context.close()


@pytest.fixture
def corpus(served: Studio) -> Iterator[Corpus]:
    """A corpus with documents and nothing else, gone after the test."""
    made = served.tribrid.create_corpus(JUDGED)
    made.documents.add(Document(d["_id"], d["text"], d["title"]) for d in DOCUMENTS)
    yield made
    made.delete()


def grades(corpus: Corpus) -> dict[str, dict[str, int]]:
    return {query.text: dict(query.judgments) for query in corpus.judgments.get().queries}


def test_one_judges_by_keys_with_one_request_a_rating(page: Page, corpus: Corpus) -> None:
    page.goto(f"/studio/c/{JUDGED}/judge")
    page.get_by_label("What somebody might ask").fill("read soup")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("read soup")
    page.wait_for_load_state("networkidle")
    asked: list[Request] = []
    # A new address makes the browser look for the icon, which it has.
    page.on("request", lambda request: None if "/static/" in request.url else asked.append(request))
    for number, key in enumerate("310", 1):
        page.keyboard.press(key)
        expect(page.get_by_text(f"{number} of 10 judged")).to_be_visible()
    assert [request.method for request in asked] == ["POST"] * 3
    assert sorted(grades(corpus)["read soup"].values()) == [0, 1, 3]
    page.keyboard.press("s")  # skips one, which stays without a grade
    expect(page.get_by_text("3 of 10 judged")).to_be_visible()
    page.keyboard.press("2")
    expect(page.get_by_text("4 of 10 judged")).to_be_visible()
    page.keyboard.press("u")
    expect(page.get_by_text("3 of 10 judged")).to_be_visible()
    assert sorted(grades(corpus)["read soup"].values()) == [0, 1, 3]
    page.reload()
    expect(page.get_by_text("3 of 10 judged")).to_be_visible()


def test_one_judges_without_a_script(bare: Page, corpus: Corpus) -> None:
    bare.goto(f"/studio/c/{JUDGED}/judge?q=read+soup&doc=notes/soup.md")
    bare.get_by_role("button", name="3 Perfect").click()
    expect(bare.get_by_text("1 of 10 judged")).to_be_visible()
    assert grades(corpus) == {"read soup": {"notes/soup.md": 3}}
    bare.get_by_role("button", name="u Undo 3").click()
    expect(bare.get_by_text("0 of 10 judged")).to_be_visible()
    assert grades(corpus) == {}


def test_two_judge_apart_with_notes_and_their_agreement_is_told(page: Page, corpus: Corpus, served: Studio) -> None:
    base = f"/studio/c/{JUDGED}/judge"
    for name, keys in (("anna", "3210"), ("Bert <b>B</b>", "3200")):
        page.goto(base)
        page.get_by_label("What somebody might ask").fill("read soup")
        page.get_by_label("Your name").fill(name)
        page.keyboard.press("Enter")
        expect(page.get_by_text("0 of 10 judged")).to_be_visible()  # not what the other said
        page.keyboard.press("e")
        page.keyboard.type(f"3 says {name}")  # a key that is typed is no grade
        page.keyboard.press("Escape")
        for number, key in enumerate(keys, 1):
            page.keyboard.press(key)
            expect(page.get_by_text(f"{number} of 10 judged")).to_be_visible()
    first = next(one.doc_id for one in corpus.judgments.ratings().ratings if one.note)
    page.goto(f"{base}?q=read+soup&name=anna&doc={first}")
    expect(page.get_by_label("Note")).to_have_value("3 says anna")
    expect(page.get_by_text("Bert <b>B</b> (person): 3 – 3 says Bert <b>B</b>")).to_be_visible()
    page.goto(base)
    page.get_by_role("button", name="Compare").click()
    expect(page.get_by_text("of 4 documents")).to_be_visible()
    expect(page.get_by_role("heading", name="1 document graded differently")).to_be_visible()
    rows = served.server.client().get(f"{base}/ratings.csv").text.splitlines()
    assert rows[0] == "query_id,query,doc_id,judge,by,grade,note,at"
    assert len(rows) == 1 + 8


def test_judged_queries_become_the_eval_dataset(bare: Page, corpus: Corpus) -> None:
    for word in ("soup", "pasta", "night"):
        corpus.judgments.grade(f"q-{word}", f"read {word}", f"notes/{word}.md", 2)
    corpus.judgments.grade("q-none", "nothing relevant", "notes/soup.md", 0)
    bare.goto(f"/studio/c/{JUDGED}/judge")
    bare.get_by_label("measure on half").check()
    bare.get_by_role("button", name="Fix the eval dataset").click()
    expect(bare.get_by_role("status")).to_contain_text("The eval dataset is fixed")
    assert corpus.eval_dataset.get().query_count == 2
    bare.goto(f"/studio/c/{JUDGED}/judge")
    bare.get_by_role("button", name="Fix the next version").click()
    assert corpus.eval_dataset.get().query_count == 3


def test_labels_from_logs_never_come_into_a_judged_dataset(bare: Page, corpus: Corpus, served: Studio) -> None:
    shown = {"q": {"notes/soup.md": 0.9}}
    evidence = LogEvidence(
        since_us=0, until_us=1, clients=30, searches=40, examination=(1.0,), good=shown, log_odds=shown
    )
    clicked = [JudgedQuery("q", "read soup", {"notes/soup.md": 1})]
    served.tribrid.folder.store.evalsets.put(JUDGED, clicked, "ndcg@10", evidence)
    corpus.judgments.grade("q-night", "read night", "notes/night.md", 2)
    bare.goto(f"/studio/c/{JUDGED}/judge")
    expect(bare.get_by_text("clicks stand for judgments")).to_be_visible()
    bare.get_by_role("button", name="Fix the eval dataset").click()
    fixed = corpus.eval_dataset.get()
    assert (fixed.source, [query.text for query in fixed.queries]) == ("judgments", ["read night"])


def test_looking_is_not_logged_and_what_one_says_is(bare: Page, corpus: Corpus) -> None:
    bare.goto(f"/studio/c/{JUDGED}/search?q=read+soup")
    bare.get_by_role("link", name="The soup").first.click()
    expect(bare.get_by_role("heading", name="Why “The soup” is here")).to_be_visible()
    assert corpus.logs.stats().impressions == 0
    bare.get_by_role("button", name="Thumb up").click()
    expect(bare.get_by_role("status")).to_contain_text("Noted")
    stats = corpus.logs.stats()
    assert (stats.impressions, stats.feedback) == (1, {"thumbs_up": 1})


def test_a_click_on_any_result_is_told(bare: Page, corpus: Corpus) -> None:
    bare.goto(f"/studio/c/{JUDGED}/search?q=read+soup")
    bare.get_by_role("button", name="Click The soup").last.click()
    expect(bare.get_by_role("status")).to_contain_text("Noted")
    assert corpus.logs.stats().feedback == {"click": 1}


def test_an_upload_that_breaks_off_is_told_and_one_that_ends_shows_its_page(page: Page, corpus: Corpus) -> None:
    page.goto(f"/studio/c/{JUDGED}/documents")
    file = FilePayload(name="new.md", mimeType="text/plain", buffer=b"# New")
    page.route("**/documents", lambda route: route.abort())
    page.get_by_label("Files").set_input_files([file])
    page.get_by_role("button", name="Upload").click()
    expect(page.get_by_role("alert")).to_contain_text("broke the connection off")
    page.unroute("**/documents")
    page.get_by_role("button", name="Upload").click()
    expect(page.get_by_role("status")).to_contain_text("1 file read")
    assert corpus.documents.get("new.md").title == "New"


def test_systems_stand_side_by_side_with_lines_between(page: Page, served: Studio) -> None:
    page.goto(f"/studio/c/{CORPUS}/search?q=read+soup&system=retrieval&system={served.model_id}&system=champion")
    assert page.locator(".hits").count() == 3
    assert page.locator(".links-between path").count() > 5
    page.goto(f"/studio/c/{CORPUS}/search?q=read+soup&system={served.model_id}&doc=notes/soup.md")
    expect(page.get_by_role("table", name="What moved it most")).to_be_visible()
    response = page.goto(f"/studio/c/{CORPUS}/search?q=x&system=none")
    assert response
    assert response.status == 404


def test_files_are_taken_in_and_what_is_not_is_said(bare: Page, corpus: Corpus) -> None:
    bare.goto(f"/studio/c/{JUDGED}/documents")
    records = b'{"_id": "r1", "text": "x"}\n{"_id": "r2"}'
    sent = {"new.md": b"# A new note\n\nAbout the proxy.", "more.jsonl": records, "odd.xyz": b"?"}
    files = [FilePayload(name=name, mimeType="text/plain", buffer=content) for name, content in sent.items()]
    bare.get_by_label("Files").set_input_files(files)
    bare.get_by_role("button", name="Upload").click()
    expect(bare.get_by_role("status")).to_contain_text("3 files read")
    expect(bare.get_by_text("files of type .xyz are not read")).to_be_visible()
    expect(bare.get_by_text("text is missing")).to_be_visible()
    new = corpus.documents.get("new.md")
    assert (new.title, new.uri) == ("A new note", "")
    bare.goto(f"/studio/c/{JUDGED}/documents?q=new")
    bare.get_by_label("Tick new.md").check()
    bare.get_by_role("button", name="Delete those that are ticked").click()
    expect(bare.get_by_role("status")).to_contain_text("deleted")
    assert corpus.documents.page(contains="NEW").total == 0


def test_a_log_is_taken_in_and_told(bare: Page, corpus: Corpus) -> None:
    lines = (
        b'{"query_id": "q1", "query": "soup", "timestamp": "2026-01-02T03:04:05Z", "shown": ["notes/soup.md"]}\n'
        b'{"query_id": "q1", "signal": "click", "doc_id": "notes/soup.md"}\n'
        b'{"query_id": "q1", "signal": "click", "doc_id": "notes/night.md"}\n'
    )
    bare.goto(f"/studio/c/{JUDGED}/logs")
    bare.get_by_label("File").set_input_files({"name": "log.jsonl", "mimeType": "text/plain", "buffer": lines})
    bare.get_by_role("button", name="Import").click()
    expect(bare.get_by_text("of 2 pieces of feedback")).to_be_visible()
    expect(bare.get_by_text("50.0 %")).to_be_visible()
    assert corpus.logs.stats().impressions == 1
    bare.goto(f"/studio/c/{JUDGED}/logs")
    expect(bare.get_by_role("link", name="soup", exact=True)).to_be_visible()


def test_a_setting_is_kept_for_one_corpus_and_taken_back(bare: Page, corpus: Corpus) -> None:
    def shown() -> tuple[object, str]:
        setting = corpus.settings().settings["mining"]["max_pairs"]
        return setting.value, setting.origin

    before = shown()
    bare.goto(f"/studio/c/{JUDGED}/settings")
    bare.locator("#mining summary").click()
    bare.get_by_label("max pairs", exact=True).fill("321")
    bare.get_by_role("button", name="Save mining").click()
    assert shown() == (321, "corpus")
    expect(bare.get_by_label("max pairs", exact=True)).to_have_value("321")
    bare.get_by_label("take back what is set here").check()
    bare.get_by_role("button", name="Save mining").click()
    assert shown() == before


def test_a_run_is_started_and_watched(page: Page, served: Studio, corpus: Corpus) -> None:
    corpus.judgments.grade("q", "read soup", "notes/soup.md", 3)
    page.goto(f"/studio/c/{JUDGED}/runs")
    page.get_by_role("button", name="Mine", exact=True).click()
    page.wait_for_url(re.compile(r"/runs/[0-9a-f]{32}"))
    expect(page.get_by_text("succeeded", exact=True)).to_be_visible(timeout=120_000)
    expect(page.get_by_role("link", name=re.compile("triplets"))).to_be_visible()
    assert corpus.triplets(limit=1).total


def test_a_job_of_another_corpus_is_not_shown_under_this_one(bare: Page, served: Studio, corpus: Corpus) -> None:
    for path in (f"runs/{served.run_id}", f"models/{served.model_id}", f"evaluations/{served.evaluation_id}"):
        response = bare.goto(f"/studio/c/{JUDGED}/{path}")
        assert response
        assert response.status == 404, path


def test_an_evaluation_is_searched_sorted_and_taken_along(bare: Page, served: Studio) -> None:
    bare.goto(f"/studio/c/{CORPUS}/evaluations/{served.evaluation_id}")
    bare.get_by_label("Words of the query").fill("JSON")
    bare.get_by_role("button", name="Show").click()
    expect(bare.get_by_role("heading", name="1 query that holds this")).to_be_visible()
    rows = (
        served.server.client()
        .get(f"/studio/c/{CORPUS}/evaluations/{served.evaluation_id}/queries.csv")
        .text.splitlines()
    )
    assert rows[0].startswith("query_id,query,before ndcg@10,after ndcg@10")
    assert len(rows) == 1 + served.tribrid.evaluations.queries(served.evaluation_id).total
    report = bare.goto(f"/studio/c/{CORPUS}/evaluations/{served.evaluation_id}/report")
    assert report
    assert "sandbox" in report.headers["content-security-policy"]


def test_a_champion_is_changed_with_a_reason_and_back(bare: Page, served: Studio) -> None:
    corpus = served.tribrid.corpus(CORPUS)
    other = next(model.model_id for model in corpus.models().models if model.model_id != served.model_id)
    bare.goto(f"/studio/c/{CORPUS}/models/{other}")
    bare.get_by_role("button", name="Promote").click()
    expect(bare.get_by_role("alert")).to_be_visible()  # not shown to be better, and nobody says why all the same
    bare.goto(f"/studio/c/{CORPUS}/models/{other}")
    bare.get_by_label("Reason, which is kept").fill("a try")
    bare.get_by_label("although it is not shown").check()
    bare.get_by_role("button", name="Promote").click()
    expect(bare.get_by_role("status")).to_contain_text("It serves")
    assert corpus.models().champion == other
    bare.get_by_label("Reason, which is kept").fill("tried")
    bare.get_by_role("button", name="Roll back").click()
    assert corpus.models().champion == served.model_id


def test_an_experiment_is_started_and_stopped(bare: Page, served: Studio) -> None:
    bare.goto(f"/studio/c/{CORPUS}/experiment")
    bare.get_by_role("button", name="Start").click()
    expect(bare.get_by_text("Wins of the challenger")).to_be_visible()
    bare.get_by_role("button", name="Stop").click()
    expect(bare.get_by_role("status")).to_contain_text("alone again")
    bare.get_by_label("Challenger", exact=True).select_option("given")
    bare.get_by_label("Design").select_option("ab")
    bare.get_by_role("button", name="Start").click()
    expect(bare.get_by_role("heading", name="the order given against")).to_contain_text("A/B")
    expect(bare.get_by_text("Forecast:")).to_be_visible()
    bare.get_by_role("button", name="Stop").click()


def test_erasing_a_query_takes_it_out_of_the_log(bare: Page, corpus: Corpus) -> None:
    corpus.search("a secret question")
    bare.goto(f"/studio/c/{JUDGED}/logs")
    bare.get_by_text("Erase what a person did").click()
    bare.get_by_label("What", exact=True).select_option("query")
    bare.get_by_label("Which").fill("a secret question")
    bare.get_by_role("button", name="Erase for good").click()
    expect(bare.get_by_role("heading", name="What was erased")).to_be_visible()
    assert corpus.logs.stats().impressions == 0


def test_a_doubtful_triplet_is_decided_by_keys(page: Page, served: Studio) -> None:
    corpus: Corpus = served.tribrid.corpus(CORPUS)
    total = corpus.triplets(status="active").total
    page.goto(f"/studio/c/{CORPUS}/review?status=active")
    page.wait_for_load_state("networkidle")
    page.keyboard.press("d")
    expect(page.get_by_text(f"of {total - 1:,}").first).to_be_visible()
    assert corpus.triplets(status="dropped").total == 1
