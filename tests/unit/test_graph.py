"""Which documents belong together, and what lies around those that were found."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tribrid.retrieval import graph
from tribrid.retrieval.graph import SOFTENED, WEIGHTS, Graph, Node
from tribrid.types.edges import Mention, MentionKind


def node(doc_id: str, *mentions: tuple[MentionKind, str], uri: str = "", parent_id: str | None = None) -> Node:
    return Node(doc_id, uri, parent_id, [Mention(kind, target) for kind, target in mentions])


def around(nodes: Sequence[Node], *found: str) -> list[str]:
    return [near.doc_id for near in Graph(nodes).around(found)]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (node("a.md", ("link", "b.md")), node("b.md")),
        (node("a.md", ("link", "b.md#part")), node("b.md")),
        (node("a.md", ("link", "guide")), node("guide/index.md")),
        (node("1", ("link", "https://x.example/b#part")), node("2", uri="https://x.example/b")),
        (node("lib/a.py", ("import", "lib.b")), node("lib/b.py")),
        (node("src/lib/a.py", ("import", "lib.b.name")), node("src/lib/b.py")),
        (node("a.py", ("import", "lib")), node("lib/__init__.py")),
        (node("src/a.ts", ("import", "src/b")), node("src/b.ts")),
        (node("a.py:f", ("call", "g")), node("a.py:g")),
        (node("a.py:C.f", ("call", "C.g")), node("a.py:C.g")),
        (node("a.py:f", ("call", "b.g")), node("lib/b.py:g")),
        (node("a.py:f", ("call", ".rare")), node("b.py:C.rare")),
        (node("a.py"), node("a.py:C")),
        (node("a.py:C"), node("a.py:C.m")),
        (node("page.md"), node("page.md#part")),
        (node("1"), node("2", parent_id="1")),
        (node("1", parent_id="whole"), node("2", parent_id="whole")),
        (node("p#one"), node("p#two")),
    ],
)
def test_edges_are_walked_both_ways(one: Node, other: Node) -> None:
    assert around([one, other], one.doc_id) == [other.doc_id]
    assert around([one, other], other.doc_id) == [one.doc_id]


@pytest.mark.parametrize(
    "nodes",
    [
        [node("a.md", ("link", "gone.md")), node("b.md")],
        [node("a.py:f", ("call", "g")), *(node(f"{n}.py:g") for n in range(4))],
        [node("a.py", ("import", "lib.b")), node("x/lib/b.py"), node("y/lib/b.py")],
        [node("https://x.example/1"), node("https://x.example/2")],
        [node("a"), node("b")],
        [],
    ],
)
def test_what_names_nothing_or_too_much_is_no_edge(nodes: Sequence[Node]) -> None:
    assert not Graph(nodes)
    assert around(nodes, "a.md", "a.py", "a.py:f", "a", "https://x.example/1") == []


def test_what_a_document_gives_is_shared_out() -> None:
    nodes = [
        node("a.md", ("link", "b.md"), ("link", "c.md")),
        node("b.md"),
        node("c.md"),
        node("d.md", ("link", "b.md")),
    ]
    near = Graph(nodes).around(["a.md", "d.md"])
    assert [one.doc_id for one in near] == ["b.md", "c.md"]
    first, second = 1 / (SOFTENED + 1), 1 / (SOFTENED + 2)
    assert [one.score for one in near] == pytest.approx([first / 2 + second, first / 2])
    assert Graph(nodes).around(["a.md", "d.md"], 1) == near[:1]


def test_a_call_counts_more_than_being_of_one_file() -> None:
    nodes = [node("a.py:f", ("call", "g")), node("a.py:g"), node("a.py:h")]
    near = {one.doc_id: one.score for one in Graph(nodes).around(["a.py:f"])}
    assert near["a.py:g"] / near["a.py:h"] == pytest.approx((1 + WEIGHTS["sibling"]) / WEIGHTS["sibling"])


def test_parts_of_a_whole_with_very_many_say_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graph, "MOST_SIBLINGS", 2)
    assert around([node("a.py:f"), node("a.py:g")], "a.py:f") == ["a.py:g"]
    assert around([node("a.py:f"), node("a.py:g"), node("a.py:h")], "a.py:f") == []


def test_what_was_good_for_one_query_belongs_together_the_fewer_the_more() -> None:
    nodes = [node(name) for name in "abcde"]
    found = Graph(nodes, [["a", "b"], ["a", "c", "d"], ["e"], ["gone", "e"]])
    assert [near.doc_id for near in found.around(["a"])] == ["b", "d", "c"]
    near = {one.doc_id: one.score for one in found.around(["a"])}
    assert near["b"] / near["c"] == pytest.approx(2)
    assert found.around(["e"]) == []


def test_what_too_many_are_good_for_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graph, "MOST_GOOD", 2)
    assert not Graph([node("a"), node("b"), node("c")], [["a", "b", "c"]])
