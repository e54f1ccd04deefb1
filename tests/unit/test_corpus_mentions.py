"""What a document's text names of others."""

from __future__ import annotations

import pytest

from tribrid.corpus.mentions import MOST, mentions_of
from tribrid.types import Document
from tribrid.types.edges import Mention


def named(doc_id: str, text: str) -> list[tuple[str, str]]:
    return [(mention.kind, mention.target) for mention in mentions_of(Document(doc_id, text))]


def test_links_are_told_from_the_page_they_stand_on() -> None:
    text = (
        'See [a](b.md), [c](../c/d.md#e "d"), [up](/top.md), ![no](x.png), [web](https://x.example/a?b#c) and [z][1].'
    )
    assert named("guide/first.md", f"{text}\n\n[1]: <other%20page.md>\n") == [
        ("link", "guide/b.md"),
        ("link", "c/d.md#e"),
        ("link", "top.md"),
        ("link", "https://x.example/a?b#c"),
        ("link", "guide/other page.md"),
    ]


@pytest.mark.parametrize(
    "link",
    ["[two\nlines](b.md)", "[x](b.md 'a title')", "[x](b.md (a title))", '[x](b.md\n"over lines")', "[x](<b.md>)"],
)
def test_a_link_may_be_written_in_each_of_its_ways(link: str) -> None:
    assert named("a.md", link) == [("link", "b.md")]
    assert named("a.md", link.replace("b.md", "<b c.md>").replace("<<", "<").replace(">>", ">")) == [("link", "b c.md")]


def test_a_link_that_stays_on_its_page_is_none() -> None:
    assert named("a.md", "[here](#part) [self](a.md) [broken]( [") == []


def test_what_python_imports_and_calls() -> None:
    text = "import os.path\nfrom .near import one\nfrom ..far import two\n"
    text += "class A(Base):\n  def m(self): f(); self.g(); x.h()\n"
    assert sorted(named("pkg/sub/mod.py", text)) == [
        ("call", ".g"),
        ("call", "Base"),
        ("call", "f"),
        ("call", "x.h"),
        ("import", "os.path"),
        ("import", "pkg.far.two"),
        ("import", "pkg.sub.near.one"),
    ]


def test_a_method_calls_those_of_its_own_class_by_their_name() -> None:
    assert named("mod.py:Class.method", "def method(self):\n    return self.other(cls.third)\n") == [
        ("call", "Class.other")
    ]


@pytest.mark.parametrize("text", ["def broken(:", "x = '\0'", "(" * 5000])
def test_what_is_no_python_names_nothing(text: str) -> None:
    assert named("mod.py", text) == []


def test_what_a_script_imports() -> None:
    text = "import a from './a'\nexport { b } from \"../b.js\"\nconst c = require('./c')\nimport d from 'package'\n"
    assert named("src/app/main.ts", text) == [
        ("import", "src/app/a"),
        ("import", "src/b.js"),
        ("import", "src/app/c"),
    ]


def test_each_is_named_once_and_not_without_end() -> None:
    assert mentions_of(Document("a.md", "[x](b.md) [y](b.md)")) == [Mention("link", "b.md", 1.0)]
    assert len(mentions_of(Document("a.md", "".join(f"[x]({n}.md)" for n in range(MOST + 50))))) == MOST


def test_links_of_web_pages_come_with_them() -> None:
    page = Document("site/a.html", "text", metadata={"links": ["b.html", "../c.html#x", "https://x.example/", 7]})
    assert [mention.target for mention in mentions_of(page)] == ["site/b.html", "c.html#x", "https://x.example/"]
    crawled = Document("1", "text", uri="https://x.example/guide/a", metadata={"links": ["b", "/c", "a"]})
    assert [mention.target for mention in mentions_of(crawled)] == ["https://x.example/guide/b", "https://x.example/c"]
    assert mentions_of(Document("1", "text", metadata={"links": "no list"})) == []
