"""The demo's collection: the same every time, labelled from docstrings that stand in no document, split by package."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tribrid.corpus.lexical import normalise
from tribrid.demo import collection as made
from tribrid.demo.collection import Collection, collect, package_of
from tribrid.demo.outline import class_outline
from tribrid.errors import Unavailable
from tribrid.mining.splits import query_clusters
from tribrid.types import JudgedQuery

pytestmark = pytest.mark.slow  # it reads the whole standard library


@pytest.fixture(scope="module")
def collection() -> Collection:
    return collect()


def packages(queries: tuple[JudgedQuery, ...]) -> set[str]:
    return {package_of(doc_id) for query in queries for doc_id in query.judgments}


def test_it_has_what_the_demo_promises(collection: Collection) -> None:
    assert len(collection.documents) == made.DOCUMENTS
    assert len(collection.evaluation) == made.EVAL_QUERIES
    assert len(collection.training) >= 500
    assert len(packages(collection.evaluation)) >= 15


def test_it_is_the_same_every_time(collection: Collection) -> None:
    assert collect().sha256 == collection.sha256


def test_documents_are_distinct_and_parse(collection: Collection) -> None:
    ids = [document.doc_id for document in collection.documents]
    assert ids == sorted(set(ids))
    assert len({normalise(document.text) for document in collection.documents}) == len(ids)
    for document in collection.documents[::40]:
        ast.parse(document.text)


def test_ids_and_titles_name_the_code(collection: Collection) -> None:
    titles = {document.doc_id: document.title for document in collection.documents}
    assert titles["json/decoder.py:JSONDecoder.raw_decode"] == "json.decoder.JSONDecoder.raw_decode"
    assert all(title.endswith(doc_id.partition(":")[2]) for doc_id, title in titles.items())


def test_every_query_has_its_one_document(collection: Collection) -> None:
    ids = {document.doc_id for document in collection.documents}
    for query in (*collection.training, *collection.evaluation):
        assert list(query.judgments.values()) == [1]
        assert query.judgments.keys() <= ids
        assert len(query.text.split()) >= made.FEWEST_WORDS


def test_no_document_holds_a_docstring(collection: Collection) -> None:
    definitions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    for document in collection.documents[::20]:
        nodes = [node for node in ast.walk(ast.parse(document.text)) if isinstance(node, definitions)]
        assert not [node.name for node in nodes if ast.get_docstring(node)], document.doc_id


def test_no_document_says_its_query(collection: Collection) -> None:
    texts = {document.doc_id: normalise(document.text) for document in collection.documents}
    queries = (*collection.training, *collection.evaluation)
    telling = [query.text for query in queries if any(normalise(query.text) in texts[doc] for doc in query.judgments)]
    assert len(telling) <= len(queries) // 100  # an error message may say the same


def test_training_and_evaluation_share_no_package(collection: Collection) -> None:
    assert not packages(collection.training) & packages(collection.evaluation)


def test_training_and_evaluation_share_no_query(collection: Collection) -> None:
    clusters = query_clusters([query.text for query in (*collection.evaluation, *collection.training)])
    evaluation = set(clusters[: len(collection.evaluation)])
    assert not evaluation & set(clusters[len(collection.evaluation) :])


def test_no_query_is_asked_twice(collection: Collection) -> None:
    texts = [normalise(query.text) for query in (*collection.training, *collection.evaluation)]
    ids = [query.query_id for query in (*collection.training, *collection.evaluation)]
    assert len(set(texts)) == len(texts)
    assert len(set(ids)) == len(ids)


def test_tests_and_vendored_code_stay_out(collection: Collection) -> None:
    assert not [
        doc.doc_id for doc in collection.documents if made.EXCLUDED & set(doc.doc_id.partition(":")[0].split("/"))
    ]


def test_a_file_that_is_no_python_is_passed_over(tmp_path: Path) -> None:
    source = 'def load(path):\n    """Read the settings from a file."""\n    return path\n'
    (tmp_path / "json.py").write_text("def broken(:\n", encoding="utf-8")
    (tmp_path / "re.py").write_text(source, encoding="utf-8")
    found = collect(tmp_path)
    assert [document.doc_id for document in found.documents] == ["re.py:load"]
    assert [query.text for query in (*found.training, *found.evaluation)] == ["Read the settings from a file"]


def test_a_query_of_two_functions_is_dropped(tmp_path: Path) -> None:
    for name in ("json", "re"):
        source = f'def {name}_load():\n    """Read the settings from a file."""\n    return {name!r}\n'
        (tmp_path / f"{name}.py").write_text(source, encoding="utf-8")
    found = collect(tmp_path)
    assert len(found.documents) == 2
    assert not found.training
    assert not found.evaluation


@pytest.mark.parametrize(
    "sentence", ["Short one.", "foo(a, b) -> the first of them", "group = name of the group list", "Load the settings."]
)
def test_what_nobody_would_type_is_no_query(tmp_path: Path, sentence: str) -> None:
    source = f'def load_the_settings():\n    """{sentence}"""\n    return 1\n'
    (tmp_path / "json.py").write_text(source, encoding="utf-8")
    found = collect(tmp_path)
    assert not found.training
    assert not found.evaluation


def test_a_stripped_library_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("sysconfig.get_path", lambda name: str(tmp_path))
    with pytest.raises(Unavailable, match="standard library"):
        collect()


def test_a_class_keeps_its_attributes_and_signatures_only() -> None:
    source = """\
@decorated
class A(B):
    x: int = 1

    @property
    def y(self) -> int:
        # why
        return self.x

    def z(self): return 2

    class C:
        def w(self):
            return 'ä'
"""
    expected = source.rstrip().replace("return self.x", "...").replace("return 'ä'", "...")
    assert class_outline(source) == expected
    ast.parse(expected)
