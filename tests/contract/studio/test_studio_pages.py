"""Every page in a real browser: readable for all, narrow and wide, light and dark, and nothing from elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, Response

from serving import Serve
from studios import CORPUS, MARKUP, Studio
from tribrid import studio
from tribrid.app import Tribrid

pytestmark = pytest.mark.timeout(300)
WIDTHS = (360, 1280, 1920)
MOST_BYTES = 150_000
NOT_FOUND = {"no such page", "no such corpus"}


def opened(browser: Browser, **how: Any) -> Page:
    return browser.new_context(**how).new_page()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_fault_on_any_page(browser: Browser, served: Studio, scheme: Literal["light", "dark"]) -> None:
    page, axe, faults = opened(browser, color_scheme=scheme), Axe(), []
    for name, path in served.pages.items():
        page.goto(served.server.url + path)
        faults += [
            f"{name}: {fault['id']} at {fault['nodes'][0]['target']}: {fault['nodes'][0]['html'][:120]}"
            for fault in axe.run(page).response["violations"]
        ]
    page.context.close()
    assert not faults, "\n" + "\n".join(faults)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("keys", [0, 1], ids=["an empty server", "sign in"])
def test_axe_finds_no_fault_on_what_is_met_first(
    browser: Browser, serve: Serve, tmp_path: Path, keys: int, scheme: Literal["light", "dark"]
) -> None:
    with Tribrid(tmp_path) as tribrid:
        for _ in range(keys):
            tribrid.keys.create("mine", ["admin"])
        page = opened(browser, color_scheme=scheme, viewport={"width": 360, "height": 900})
        page.goto(serve(studio.create_app(tribrid)).url)
        assert page.locator("h1").inner_text() == ("Sign in" if keys else "Corpora")
        assert not Axe().run(page).response["violations"]
        assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
        page.context.close()


def test_axe_sees_a_fault(browser: Browser) -> None:
    page = opened(browser)
    page.set_content("<img src='x.png'>")
    assert "image-alt" in {fault["id"] for fault in Axe().run(page).response["violations"]}
    page.context.close()


@pytest.mark.parametrize("width", WIDTHS)
def test_no_page_scrolls_sideways(browser: Browser, served: Studio, width: int) -> None:
    page, wide = opened(browser, viewport={"width": width, "height": 900}), []
    for name, path in served.pages.items():
        page.goto(served.server.url + path)
        page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
        over = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        if over > 0:
            wide.append(f"{name}: {over} px")
    page.context.close()
    assert not wide


def test_nothing_is_fetched_from_elsewhere_and_no_script_complains(browser: Browser, served: Studio) -> None:
    """A page that broke its own content security policy would say so on the console."""
    page = opened(browser)
    elsewhere: list[str] = []
    said: list[str] = []
    failed: list[str] = []
    page.on(
        "request", lambda request: None if request.url.startswith(served.server.url) else elsewhere.append(request.url)
    )
    page.on("console", lambda message: said.append(f"{page.url}: {message.text}"))
    page.on("pageerror", lambda error: said.append(f"{page.url}: {error}"))
    for name, path in served.pages.items():
        response = page.goto(served.server.url + path, wait_until="networkidle")
        assert response is not None
        expected = 404 if name in NOT_FOUND else 200
        failed += [] if response.status == expected else [f"{name}: {response.status}"]
    page.context.close()
    assert not failed
    assert not elsewhere
    assert not [line for line in said if "404" not in line]


def test_titles_ids_and_queries_full_of_markup_are_shown_as_text(browser: Browser, served: Studio) -> None:
    page = opened(browser)
    shown = 0
    for path in [
        *served.pages.values(),
        f"/studio/c/{CORPUS}/search?q=read+{MARKUP}",
        f"/studio/c/{CORPUS}/judge?q={MARKUP}",
    ]:
        page.goto(served.server.url + path)
        assert page.locator(".marker").count() == 0, path
        shown += page.get_by_text("<i class='marker'>", exact=False).count()
    page.context.close()
    assert shown > 5


def test_each_page_has_a_title_a_heading_and_a_way_past_the_navigation(browser: Browser, served: Studio) -> None:
    page, titles = opened(browser), []
    for name, path in served.pages.items():
        page.goto(served.server.url + path)
        titles.append(page.title())
        assert page.locator("h1").count() == 1, name
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == "Skip to content", name
        page.keyboard.press("Enter")
        assert page.evaluate("document.activeElement.id") == "main", name
    page.context.close()
    assert len(set(titles)) > len(titles) - 8, "titles that tell pages apart"


def transferred(browser: Browser, url: str) -> list[int]:
    """The bytes of each answer that a new visitor's browser gets."""
    page = opened(browser)
    answers: list[Response] = []
    page.on("response", lambda response: answers.append(response))
    page.goto(url, wait_until="networkidle")
    sizes = [len(answer.body()) for answer in answers]
    page.context.close()
    return sizes


def test_the_first_page_is_small(browser: Browser, served: Studio) -> None:
    for path in ("/", f"/studio/c/{CORPUS}"):
        sizes = transferred(browser, served.server.url + path)
        assert len(sizes) >= 3
        assert sum(sizes) <= MOST_BYTES


def test_a_browser_keeps_files_for_ever_and_pages_never(served: Studio) -> None:
    client = served.server.client()
    page = client.get("/")
    assert page.headers["cache-control"] == "no-store"
    address = page.text.partition('rel="stylesheet" href="')[2].partition('"')[0]
    style = client.get(address)
    assert style.headers["content-type"] == "text/css; charset=utf-8"
    assert "immutable" in style.headers["cache-control"]
    assert client.get("/studio/static/none.js").status_code == 404
