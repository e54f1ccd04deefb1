"""A rerank: who answers for which `model`, what is read, what is kept of it, and what is told."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

import handmade
from tribrid.app import Tribrid
from tribrid.app.rerank import MAX_QUERY_CHARS, NAMED, UNLOGGED, Ranker
from tribrid.config import read_environment
from tribrid.errors import CorpusNotFound, InvalidInput, ModelNotFound, TooLarge
from tribrid.loop.promote import promote
from tribrid.scoring.scorer import InteractionScorer
from tribrid.store.settings import GLOBAL_SCOPE
from tribrid.types import Document
from tribrid.workspace.corpus import open_corpus
from tribrid.workspace.data_folder import DataFolder

ENCODER, LOCAL = "tiny", "org/reader"
TEXTS = ["soup and pasta", "proxy backup", "kitchen soup soup", "night"]
Texts = Sequence[str | Mapping[str, Any]]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DataFolder]:
    """Whose encoder all use."""
    opened = handmade.opened(tmp_path_factory.mktemp("encoder"))
    yield opened
    opened.close()


@pytest.fixture
def tribrid(encoder: DataFolder, tmp_path: Path) -> Iterator[Tribrid]:
    """Two corpora, of which "notes" has a document; and a models folder with a cross-encoder that nobody loads."""
    local = tmp_path / "models" / LOCAL
    local.mkdir(parents=True)
    told = {"architectures": ["BertForSequenceClassification"], "id2label": {"0": "LABEL_0"}, "model_type": "bert"}
    (local / "config.json").write_text(json.dumps(told))
    (local / "tokenizer.json").write_text("{}")
    (local / "model.safetensors").write_bytes(b"")
    changed = {"data_dir": tmp_path / "data", "models_dir": tmp_path / "models"}
    with Tribrid(environment=read_environment().model_copy(update=changed)) as opened:
        opened.folder.share_encoders(encoder)
        for corpus_id in ("notes", "news"):
            opened.store.corpora.create(corpus_id, corpus_id)
        opened.store.documents.upsert("notes", [Document("soup.md", "soup with noodles", "Dinner")])
        yield opened


def configure(tribrid: Tribrid, scope: str = GLOBAL_SCOPE, **fields: Any) -> None:
    tribrid.store.settings.patch(scope, {"reranking": fields})


def rerank(tribrid: Tribrid, documents: Texts = TEXTS, query: str = "soup", **how: Any) -> dict[str, Any]:
    """The answer, as plain data."""
    return tribrid.rerank(query, documents, **how).model_dump(mode="json")


def order(answer: Mapping[str, Any]) -> list[int]:
    return [row["index"] for row in answer["results"]]


def stored(tribrid: Tribrid, corpus_id: str) -> dict[str, str]:
    """Text of each document, by its id."""
    return {document.doc_id: document.text for document in tribrid.store.documents.iterate(corpus_id)}


def who(ranker: Ranker) -> tuple[str, str | None, str | None]:
    return ranker.name, ranker.corpus_id, ranker.wanted


def serving(tribrid: Tribrid, weight: float, corpus_id: str = "notes") -> str:
    """A model that serves the corpus."""
    model_id = handmade.model(tribrid.folder, corpus_id, weight)
    promote(open_corpus(tribrid.folder, corpus_id), model_id, "by hand", force=True)
    return model_id


@pytest.mark.parametrize("name", [None, "", "  ", "default", "Default", "default/not-specified", "NULL", "none"])
def test_nothing_in_particular_means_the_encoder_until_settings_say_more(tribrid: Tribrid, name: str | None) -> None:
    assert who(tribrid.ranker(name)) == (ENCODER, None, None)
    assert who(tribrid.ranker(name, "notes")) == ("notes", "notes", None)
    configure(tribrid, reranker_local_model="/models/of/this/machine/reader")
    assert who(tribrid.ranker(name)) == ("reader", None, None), "without the machine's folders"
    configure(tribrid, rerank_corpus="news")
    assert who(tribrid.ranker(name)) == ("news", "news", None)
    assert who(tribrid.ranker(name, "notes")) == ("notes", "notes", None)


def test_a_model_may_be_a_corpus_a_version_a_local_model_or_the_encoder(tribrid: Tribrid) -> None:
    version = handmade.model(tribrid.folder, "notes", 1.0)
    assert who(tribrid.ranker("notes")) == ("notes", "notes", None)
    assert who(tribrid.ranker(version)) == (version, "notes", None)
    assert who(tribrid.ranker(LOCAL)) == (LOCAL, None, None)
    assert who(tribrid.ranker(ENCODER)) == (ENCODER, None, None)
    assert isinstance(tribrid.ranker(ENCODER).choose(None), InteractionScorer)


def test_in_a_corpus_any_model_but_another_corpus_s_answers_and_the_corpus_logs(tribrid: Tribrid) -> None:
    own, foreign = handmade.model(tribrid.folder, "notes", 1.0), handmade.model(tribrid.folder, "news", 1.0)
    for name in (own, LOCAL, ENCODER):
        assert who(tribrid.ranker(name, "notes")) == (name, "notes", None)
    assert who(tribrid.ranker("notes", "notes")) == ("notes", "notes", None)
    for name in (foreign, "news"):
        with pytest.raises(ModelNotFound):
            tribrid.ranker(name, "notes")
    with pytest.raises(CorpusNotFound):
        tribrid.ranker(None, "nowhere")


def test_a_corpus_has_the_local_model_of_its_own_settings(tribrid: Tribrid) -> None:
    configure(tribrid, "notes", reranker_local_model="/models/of/this/machine/own")
    for name in ("own", "/models/of/this/machine/own"):
        assert who(tribrid.ranker(name, "notes")) == (name, "notes", None)
        for corpus_id in ("news", None):
            with pytest.raises(ModelNotFound):
                tribrid.ranker(name, corpus_id)


def test_a_corpus_s_champion_and_a_version_each_score_themselves(tribrid: Tribrid) -> None:
    corpus = open_corpus(tribrid.folder, "notes")
    assert tribrid.ranker("notes").choose(corpus) is None, "no champion"
    champion, other = serving(tribrid, 1.0), handmade.model(tribrid.folder, "notes", 2.0)
    corpus = open_corpus(tribrid.folder, "notes")
    chosen = [tribrid.ranker(name).choose(corpus) for name in ("notes", champion, other)]
    assert [scorer and scorer.model_id for scorer in chosen] == [champion, champion, other]


def test_what_ragflow_appends_is_not_part_of_the_name(tribrid: Tribrid) -> None:
    version = handmade.model(tribrid.folder, "notes", 1.0)
    for name in ("notes", version, LOCAL, ENCODER):
        assert who(tribrid.ranker(f"{name}___VLLM")) == who(tribrid.ranker(name))
        assert who(tribrid.ranker(f"{name}___VLLM", "notes")) == who(tribrid.ranker(name, "notes"))
    assert who(tribrid.ranker("default___VLLM")) == who(tribrid.ranker("default"))
    tribrid.store.corpora.create("notes___old", "a name that has it of its own")
    assert who(tribrid.ranker("notes___old")) == ("notes___old", "notes___old", None)
    for name in ("nobody___VLLM", "___VLLM"):
        with pytest.raises(ModelNotFound, match=f"no model '{name}'"):
            tribrid.ranker(name)


def test_an_unknown_model_is_refused_with_those_that_there_are(tribrid: Tribrid) -> None:
    with pytest.raises(ModelNotFound, match="no model 'rerank-v9'") as refused:
        tribrid.ranker("rerank-v9")
    assert refused.value.facts["models"] == ["news", "notes", LOCAL, ENCODER]
    for n in range(NAMED):
        tribrid.store.corpora.create(f"more{n}", "")
    with pytest.raises(ModelNotFound) as refused:
        tribrid.ranker("rerank-v9")
    assert len(refused.value.facts["models"]) == NAMED


def test_a_vendor_s_model_is_answered_unless_every_unknown_name_is_refused(tribrid: Tribrid) -> None:
    for name in ("rerank-v3.5", "rerank-2.5___VLLM", "jina-reranker-m0"):
        assert who(tribrid.ranker(name)) == (ENCODER, None, name)
        assert who(tribrid.ranker(name, "notes")) == ("notes", "notes", name)
    for name in ("rerank", "cross-encoder/ms-marco-MiniLM-L6-v2", "text-embedding-3-small"):
        with pytest.raises(ModelNotFound, match="rerank_unknown_model=default"):
            tribrid.ranker(name)
    tribrid.store.corpora.create("rerank-v3.5", "a corpus of that name is meant by it")
    assert who(tribrid.ranker("rerank-v3.5")) == ("rerank-v3.5", "rerank-v3.5", None)
    configure(tribrid, rerank_unknown_model="refuse")
    with pytest.raises(ModelNotFound):
        tribrid.ranker("rerank-2.5")


def test_an_unknown_model_may_mean_the_default_and_the_answer_says_so(tribrid: Tribrid) -> None:
    configure(tribrid, "notes", rerank_unknown_model="default")
    assert who(tribrid.ranker("rerank-v9", "notes")) == ("notes", "notes", "rerank-v9")
    with pytest.raises(ModelNotFound):
        tribrid.ranker("rerank-v9", "news")
    configure(tribrid, rerank_unknown_model="default")
    assert who(tribrid.ranker("rerank-v9")) == (ENCODER, None, "rerank-v9")
    with pytest.raises(CorpusNotFound):
        tribrid.ranker("rerank-v9", "nowhere")
    told = rerank(tribrid, model="rerank-v9")["warnings"]
    assert told == [f"There is no model 'rerank-v9': '{ENCODER}' answered."]


@pytest.mark.parametrize("name", [None, "default", "kept", "kept___VLLM"])
def test_the_corpus_of_calls_that_name_none_is_made_at_its_first_use(tribrid: Tribrid, name: str | None) -> None:
    configure(tribrid, rerank_corpus="kept")

    def corpora() -> set[str]:
        return {row.corpus_id for row in tribrid.store.corpora.list()}

    tribrid.ranker("notes")
    tribrid.ranker(None, "notes")
    tribrid.ranker(LOCAL)
    assert "kept" not in corpora(), "nobody meant it yet"
    assert who(tribrid.ranker(name)) == ("kept", "kept", None)
    assert "kept" in corpora()
    assert who(tribrid.ranker(name)) == ("kept", "kept", None)


def test_everything_that_a_model_may_be_is_listed_by_kind(tribrid: Tribrid) -> None:
    champion = serving(tribrid, 1.0)
    configure(tribrid, reranker_local_model="/models/of/this/machine/first")
    rows = [(row.id, row.kind) for row in tribrid.rerank_models()]
    assert rows == [
        ("news", "corpus"), ("notes", "corpus"), (champion, "version"), ("first", "local"), (LOCAL, "local"),
        (ENCODER, "encoder"),
    ]  # fmt: skip
    assert [row.champion for row in tribrid.rerank_models() if row.kind == "corpus"] == [None, champion]
    for name, _ in rows:
        tribrid.ranker(name)


def test_a_champion_orders_and_without_one_the_first_stage_does(tribrid: Tribrid) -> None:
    before = rerank(tribrid, model="notes")
    assert (before["reranked"], before["logged"], before["model_id"]) == (False, True, "retrieval")
    assert before["warnings"] == ["No model serves 'notes' yet: in the order of the first stage's fused score."]
    champion = serving(tribrid, -1.0)
    after = rerank(tribrid, model="notes")
    assert (after["reranked"], after["model_id"], after["warnings"]) == (True, champion, [])
    assert order(after) == order(before)[::-1]
    assert all(0 <= row["score"] <= 1 for row in after["results"])
    assert order(rerank(tribrid, model="notes", top_n=2)) == order(after)[:2]
    assert len(rerank(tribrid, model="notes", top_n=0)["results"]) == len(TEXTS)


def test_a_champion_that_fails_is_told_and_the_first_stage_answers(tribrid: Tribrid) -> None:
    before = rerank(tribrid, model="notes")
    champion = tribrid.store.models.get(handmade.model(tribrid.folder, "notes", -1.0))
    tribrid.store.models.promote("notes", champion.model_id, "unseen")
    tribrid.store.artifacts.path(champion.artifact).joinpath("manifest.json").unlink()
    after = rerank(tribrid, model="notes")
    assert (after["reranked"], after["fallback_code"], order(after)) == (False, "model_unavailable", order(before))
    assert after["warnings"] == [f"Not reranked, in the first stage's order: {after['fallback_reason']}"]


def test_without_a_corpus_nothing_is_logged_or_collected(tribrid: Tribrid) -> None:
    answer = rerank(tribrid, [{"id": "x", "text": "soup"}, "night"])
    assert answer["query_id"].startswith(UNLOGGED)
    assert (answer["logged"], answer["collected"], answer["corpus_id"]) == (False, 0, None)
    assert {row["doc_id"] for row in answer["results"]} == {"x", None}


def test_new_documents_are_collected_and_known_ones_never_touched(tribrid: Tribrid) -> None:
    sent: Texts = [{"id": "soup.md", "text": "another text"}, {"id": "new.md", "text": "night", "title": "T"}, "proxy"]
    answer = rerank(tribrid, sent, model="notes")
    found = stored(tribrid, "notes")
    assert answer["collected"] == 3, "another text is another document"
    assert found["soup.md"] == "soup with noodles"
    assert found["new.md"] == "night"
    nameless = next(row["doc_id"] for row in answer["results"] if row["index"] == 2)
    assert nameless.startswith("text-")
    assert found[nameless] == "proxy"
    again = rerank(tribrid, sent, model="notes")
    assert again["collected"] == 0
    assert {row["doc_id"] for row in again["results"]} == {"soup.md", "new.md", nameless}


def test_what_is_not_collected(tribrid: Tribrid) -> None:
    tribrid.store.settings.patch(GLOBAL_SCOPE, {"indexing": {"max_document_chars": 1000}})
    long, blank = {"id": "long", "text": "soup " * 201}, {"id": "blank", "text": "  "}
    assert rerank(tribrid, [long, blank, {"id": "just", "text": "soup " * 200}], model="notes")["collected"] == 1
    assert stored(tribrid, "notes").keys() == {"soup.md", "just"}
    configure(tribrid, collect_documents_max=3)
    assert rerank(tribrid, ["one", "one", "two", "three"], model="notes")["collected"] == 1
    assert rerank(tribrid, ["four"], model="notes")["collected"] == 0
    configure(tribrid, collect_documents_max=100, collect_documents=False)
    assert rerank(tribrid, ["five"], model="notes")["collected"] == 0


@pytest.mark.parametrize("text", ["soup with noodles", "Dinner\nsoup with noodles"])
def test_a_document_without_an_id_is_known_by_what_it_says(tribrid: Tribrid, text: str) -> None:
    title = {} if "\n" in text else {"title": "Dinner"}
    answer = rerank(tribrid, [{"text": text, **title}], model="notes")
    assert [row["doc_id"] for row in answer["results"]] == ["soup.md"]
    assert answer["collected"] == 0
    assert rerank(tribrid, [{"text": text, "title": "Lunch"}], model="notes")["collected"] == 1


def test_an_id_alone_stands_for_a_document_of_the_corpus_and_of_no_other(tribrid: Tribrid) -> None:
    answer = rerank(tribrid, [{"id": "soup.md"}, "night"], model="notes")
    assert next(row["document"]["text"] for row in answer["results"] if row["index"] == 0) == "soup with noodles"
    for how in ({"model": "news"}, {}):
        with pytest.raises(InvalidInput, match=r"documents\[1\]: has no text"):
            rerank(tribrid, ["night", {"id": "soup.md"}], **how)


def test_a_document_is_cut_for_reading_told_of_and_kept_whole(tribrid: Tribrid) -> None:
    long = {"id": "long", "text": "soup pasta kitchen", "extra": 1}
    answer = rerank(tribrid, [long, {"id": "even", "text": "soup"}], model="notes", max_tokens_per_doc=1)
    assert answer["warnings"][-1] == "1 documents were not read whole."
    assert stored(tribrid, "notes")["long"] == long["text"]
    with pytest.raises(InvalidInput, match="1 documents are too long to be read whole"):
        rerank(tribrid, [long, "soup"], model="notes", max_tokens_per_doc=1, truncate=False)
    assert rerank(tribrid, [long], model="notes", max_tokens_per_doc=5, truncate=False)["warnings"][1:] == []


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"query": " "}, "query: 1 to"),
        ({"query": "x" * (MAX_QUERY_CHARS + 1)}, "query: 1 to"),
        ({"documents": []}, "must not be empty"),
        ({"top_n": -1}, "top_n"),
        ({"max_chunks_per_doc": 0}, "max_chunks_per_doc"),
        ({"max_tokens_per_doc": 0}, "max_tokens_per_doc"),
        ({"client_id": ""}, "client_id"),
        ({"documents": [7]}, r"documents\[0\]"),
    ],
)
def test_what_cannot_be_asked_is_refused_and_not_logged(tribrid: Tribrid, how: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        rerank(tribrid, **{"model": "notes", **how})
    assert tribrid.store.logs.stats("notes").impressions == 0


def test_more_documents_than_the_corpus_takes_are_refused(tribrid: Tribrid) -> None:
    configure(tribrid, "notes", rerank_max_documents=3)
    assert len(order(rerank(tribrid, TEXTS[:3], model="notes"))) == 3
    with pytest.raises(TooLarge, match="4 are more than"):
        rerank(tribrid, TEXTS, model="notes")
    assert len(order(rerank(tribrid, TEXTS, model="news"))) == 4


@pytest.mark.parametrize("corpus_id", ["notes", None])
@pytest.mark.parametrize("kind", ["sha1", "sha256", "sha512"])
def test_a_hash_is_found_before_one_that_differs_in_its_last_digit(
    kind: str, corpus_id: str | None, tribrid: Tribrid
) -> None:
    """An encoder hardly sees the difference, and reads no further than its limit."""
    for number in range(5):
        exact = hashlib.new(kind, str(number).encode()).hexdigest()
        near = exact[:-1] + ("0" if exact[-1] != "0" else "1")
        texts = [f"The digest of the file is {found}, it says." for found in (near, exact, near[:-2] + "00")]
        for query in (exact, f"which file has {exact.upper()}"):
            assert rerank(tribrid, texts, query, corpus_id=corpus_id)["results"][0]["index"] == 1
