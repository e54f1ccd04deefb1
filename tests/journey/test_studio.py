"""A first-time user's way in a browser alone: from an empty server to a model that he made, measured and promoted."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

import learnable
from serving import running
from tribrid import studio
from tribrid.app import Tribrid

JUDGED, MEASURED = 24, 12
"""Queries that are judged, and half of them to measure on."""
MINUTES_MS = 240_000


@pytest.mark.timeout(600)
def test_from_an_empty_server_to_a_promoted_model(tmp_path: Path, browser: Browser) -> None:
    with Tribrid(tmp_path / "data") as tribrid, running(studio.create_app(tribrid)) as server:
        context = browser.new_context(base_url=server.url)
        page = context.new_page()
        page.goto("/")
        expect(page.get_by_text("No corpus yet.")).to_be_visible()
        page.get_by_label("Id", exact=True).fill("first")
        page.get_by_role("button", name="Make it").click()
        _upload(page)
        _judge(page)
        _learn(page, "Mine")
        _learn(page, "Train")
        _learn(page, "Evaluate")
        _promote(page)
        context.close()
        corpus = tribrid.corpus("first")
        assert corpus.eval_dataset.get().query_count == MEASURED
        models = corpus.models()
        assert models.champion == models.models[0].model_id
        assert corpus.search("anything").reranked


def _next(page: Page, label: str) -> None:
    """Follow the one thing to do next."""
    page.goto("/studio/c/first")
    page.get_by_role("region", name="Next").get_by_text(label, exact=True).click()


def _upload(page: Page) -> None:
    _next(page, "Add documents")
    records = [{"_id": d.doc_id, "title": d.title, "text": d.text} for d in learnable.documents()]
    content = "\n".join(map(json.dumps, records)).encode()
    page.get_by_label("Files").set_input_files({"name": "all.jsonl", "mimeType": "text/plain", "buffer": content})
    page.get_by_role("button", name="Upload").click()
    expect(page.get_by_role("status")).to_contain_text("1 file read")


def _judge(page: Page) -> None:
    _next(page, "Judge queries")
    for query in learnable.queries("e", JUDGED, seed=7):
        page.goto("/studio/c/first/judge")
        page.get_by_label("What somebody might ask").fill(query.text)
        page.keyboard.press("Enter")
        page.wait_for_url("**/judge?q=*")
        (wanted,) = query.judgments
        page.goto(f"{page.url}&doc={wanted}")  # as somebody knows who has read the documents
        page.keyboard.press("3")
        expect(page.get_by_text(re.compile(r"^1 of \d+ judged"))).to_be_visible()
    page.goto("/studio/c/first/judge")
    page.get_by_label("measure on half").check()
    page.get_by_role("button", name="Fix the eval dataset").click()
    expect(page.get_by_role("status")).to_contain_text("fixed")


def _learn(page: Page, label: str) -> None:
    if label == "Train":  # the fast way: without a cross-encoder
        page.goto("/studio/c/first/runs")
        page.get_by_role("region", name="2. Train").get_by_text("Options").click()
        page.get_by_label("cross encoder", exact=True).select_option("false")
        page.get_by_role("button", name="Train", exact=True).click()
    else:
        _next(page, label)
    page.wait_for_url("**/runs/*")
    expect(page.get_by_text("succeeded", exact=True)).to_be_visible(timeout=MINUTES_MS)


def _promote(page: Page) -> None:
    """The gate has promoted it, or a person does with a reason."""
    page.goto("/studio/c/first/models")
    if page.get_by_text("champion", exact=True).count():
        return
    page.get_by_role("link", name="Promote …").first.click()
    page.get_by_label("Reason, which is kept").fill("Twelve queries are few; it looks right.")
    page.get_by_label("although it is not shown").check()
    page.get_by_role("button", name="Promote").click()
    expect(page.get_by_role("status")).to_contain_text("It serves")
