"""Passages: exact offsets, whole coverage, bounded lengths, and cuts where a reader would cut."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tribrid.corpus.passages import split
from tribrid.types import Document, Passage

# A step that is quadratic in the text takes minutes at this length, a linear one well under a second.
CHARS = 400_000

SENTENCE = "The quick brown fox jumps over the lazy dog. "


def parts(text: str, chars: int = 200, overlap: int = 30, doc_id: str = "d") -> list[Passage]:
    return split(Document(doc_id, text, title="T"), passage_chars=chars, overlap_chars=overlap)


texts = st.text(alphabet="ab .\n#@é漢", max_size=3000) | st.lists(
    st.sampled_from(["word ", "sentence. ", "\n\n", "# head\n", "def f(x):\n", "    ", "@deco\n", "x" * 300]),
    max_size=200,
).map("".join)


@given(texts, st.integers(200, 600), st.integers(0, 1000), st.sampled_from(["d", "d.py"]))
def test_offsets_are_exact_lengths_bounded_and_all_is_covered(text: str, chars: int, overlap: int, doc_id: str) -> None:
    passages = parts(text, chars, overlap, doc_id)
    covered: set[int] = set()
    for ordinal, passage in enumerate(passages):
        assert passage.ordinal == ordinal
        assert passage.text == text[passage.start : passage.end]
        assert len(passage.text) <= 1.2 * chars
        covered.update(range(passage.start, passage.end))
    assert all(index in covered or text[index].isspace() for index in range(len(text)))
    assert len(passages) <= 1 + len(text) // (chars // 4)
    starts = [passage.start for passage in passages]
    assert starts == sorted(set(starts))


@given(texts, st.integers(0, 100))
def test_neighbours_repeat_at_most_the_overlap(text: str, overlap: int) -> None:
    passages = parts(text, 200, overlap)
    for before, after in pairwise(passages):
        assert before.end - after.start <= overlap


def test_a_text_a_little_over_the_target_is_one_passage() -> None:
    assert [p.end for p in parts("x" * 240)] == [240]
    assert len(parts("x" * 241)) == 2


@pytest.mark.parametrize("text", ["", " \n "])
def test_an_empty_text_gives_one_passage_for_the_title(text: str) -> None:
    [passage] = parts(text)
    assert passage.title == "T"
    assert passage.text == text[passage.start : passage.end]
    assert not passage.text.strip()


def test_blank_stretches_give_no_passage() -> None:
    passages = parts("start " + " " * 5000 + " end")
    assert all(passage.text.strip() for passage in passages)
    assert [passage.ordinal for passage in passages] == list(range(len(passages)))


def test_prose_breaks_at_sentences_and_repeats_whole_words() -> None:
    passages = parts(SENTENCE * 20)
    assert all(passage.text.endswith(". ") for passage in passages)
    assert all(passage.start == 0 or passage.text[0].isalpha() for passage in passages)
    text = SENTENCE * 20
    assert all(passage.start == 0 or text[passage.start - 1] == " " for passage in passages)


CODE = "".join(f"# Install part {n}\npip install part{n}\n\n" for n in range(40))


def test_a_comment_in_fenced_code_begins_no_passage() -> None:
    text = f"{SENTENCE}\n\n```sh\n{CODE}```\n\n# Use\n\n{SENTENCE * 4}"
    passages = parts(text, 300, 40)
    clean = [after for before, after in pairwise(passages) if after.start >= before.end]
    assert not [passage.text for passage in clean if not passage.text.startswith("# Use")]
    assert not [passage.text for passage in passages if passage.text.startswith("# Install")]


def test_fenced_code_is_kept_whole_where_it_fits() -> None:
    fence = f"```sh\n{CODE[:130]}\n```\n"
    for before in range(1, 6):
        for passage in parts(SENTENCE * before + "\n" + fence + SENTENCE * 9, 400, 0):
            assert passage.text.count("```") in (0, 2)


def test_a_text_that_shows_code_in_fences_is_prose() -> None:
    text = f"Use it:\n\n```python\nclass Reader:\n    pass\n```\n{SENTENCE * 4}\n# Part\n{SENTENCE * 4}"
    assert any(passage.text.startswith("# Part") for passage in parts(text, 300, 40))


def test_a_paragraph_is_a_better_break_than_a_sentence() -> None:
    text = SENTENCE * 3 + "\n\n" + SENTENCE * 5
    assert parts(text)[0].text == SENTENCE * 3 + "\n\n"


def test_a_heading_opens_a_passage_without_overlap() -> None:
    body = SENTENCE * 3
    first, second, *_ = parts(f"# One\n{body}\n\n{body[:20]}\n\n## Two\n{body}{body}")
    assert second.text.startswith("## Two\n")
    assert second.start == first.end


def test_code_breaks_at_top_level_definitions_and_keeps_decorators() -> None:
    method = "    def method(self):\n        return self.value + 1\n\n"
    text = f"class A:\n{method * 2}\n@decorated\n@twice(1)\nclass B:\n{method * 3}"
    passages = parts(text, doc_id="pkg/mod.py")
    assert passages[1].text.startswith("@decorated\n@twice(1)\nclass B:")
    assert passages[1].start == passages[0].end


def test_long_class_breaks_at_methods_and_long_functions_at_lines() -> None:
    method = "    def method(self):\n        return self.value + 1\n"
    assert all("    def method" in p.text[:20] for p in parts("class A:\n" + method * 12)[1:])
    lines = "def f():\n" + "    total = total + step\n" * 40
    for passage in parts(lines, overlap=0):
        assert passage.text.endswith("\n")


def test_python_comments_are_no_headings() -> None:
    text = "def f():\n" + "    x = 1\n" * 14 + "# comment\n" + "    y = 2\n" * 30
    assert not any(passage.text.startswith("# comment") for passage in parts(text, overlap=0, doc_id="a.py"))


def test_the_title_is_on_every_passage_and_bounded() -> None:
    document = Document("d", SENTENCE * 20, title="t" * 5000)
    assert {p.title for p in split(document, passage_chars=200, overlap_chars=0)} == {"t" * 200}


@pytest.mark.parametrize("unit", ["a", "aB", " ", "\n", "\n ", ".", '."', "#", "@\n", "# ", "def", "漢"])
@pytest.mark.parametrize("doc_id", ["d", "d.py"])
@pytest.mark.timeout(20, func_only=True)
def test_the_time_is_linear_whatever_the_text(unit: str, doc_id: str) -> None:
    text = unit * (CHARS // len(unit))
    parts(text, chars=1000, overlap=150, doc_id=doc_id)
