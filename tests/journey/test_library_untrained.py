"""The library before anything was trained: what is missing is named, and what was lost comes back."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import learnable
from tribrid.app import Tribrid
from tribrid.config import read_environment
from tribrid.errors import (
    CorpusNotFound,
    NoDocuments,
    NoEvalDataset,
    NoModel,
    NoTriplets,
    StaleIndex,
)
from tribrid.types import Document
from tribrid.workspace import Workspace

pytestmark = pytest.mark.timeout(240)
QUICK = {"training": {"cross_encoder": False, "folds": 3}, "evaluation": {"resamples": 500}}
QUERY = " ".join(learnable.documents()[7].text.split()[:3])


def test_two_folders_mirrored_at_once_are_mirrored_one_after_the_other(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("one", "other")]
    for folder in folders:
        folder.mkdir()
        for number in range(30):
            (folder / f"{folder.name}-{number}.md").write_text(f"{folder.name} number {number}")
    with Tribrid(tmp_path / "data") as opened:
        opened.create_corpus("c")
        with ThreadPoolExecutor(4) as pool:
            reports = list(pool.map(lambda folder: opened.index_path("c", folder), folders * 2))
        assert all(report["documents"] == 30 for report in reports)
        assert all(report["unchanged"] >= 0 for report in reports)
        names = {doc_id.partition("-")[0] for doc_id in opened.store.documents.hashes("c")}
        assert len(names) == 1
        assert opened.corpus("c")["documents"] == opened.corpus("c")["passages"] == 30


def doctors_word(tribrid: Tribrid) -> tuple[bool, str]:
    (check,) = [check for check in tribrid.doctor() if check["check"] == "corpora"]
    return check["ok"], check["detail"]


def test_doctor_names_the_corpus_whose_index_or_reranker_is_gone(tmp_path: Path) -> None:
    with Tribrid(tmp_path / "data") as opened:
        for corpus_id in ("whole", "broken"):
            opened.create_corpus(corpus_id)
            opened.index(corpus_id, learnable.documents()[:5])
        assert doctors_word(opened)[0]
        opened.patch_config({"reranking": {"reranker_mode": "local", "reranker_local_model": "/nowhere"}}, "broken")
        ok, told = doctors_word(opened)
        assert (ok, "1 of 2" in told, "broken: " in told, "whole" in told) == (False, True, True, False)
        opened.patch_config({"reranking": None}, "broken")
    shutil.rmtree(tmp_path / "data" / "indexes" / "broken")
    with Tribrid(tmp_path / "data") as opened:
        ok, told = doctors_word(opened)
        assert (ok, "no index" in told) == (False, True)


def test_before_anything_the_next_step_is_named(tmp_path: Path) -> None:
    with Tribrid(tmp_path) as opened:
        with pytest.raises(CorpusNotFound):
            opened.search("c", "anything")
        opened.create_corpus("c")
        found = opened.search("c", "anything", client_id="me")
        assert found["results"] == []
        assert opened.store.logs.impression(found["query_id"]).client_id == "me"
        with pytest.raises(NoDocuments):
            opened.submit_mine("c")
        with pytest.raises(NoTriplets):
            opened.submit_train("c", {"cross_encoder": False})
        with pytest.raises(NoDocuments):
            opened.submit_evaluate("c")
        with pytest.raises(NoModel):
            opened.promote("c", reason="because")
        with pytest.raises(NoModel):
            opened.rollback("c")
        opened.index("c", learnable.documents()[:3])
        with pytest.raises(NoEvalDataset):
            opened.submit_evaluate("c")
        assert opened.store.jobs.list("c") == []


def test_a_lost_index_is_told_and_rebuilt(tmp_path: Path) -> None:
    with Tribrid(tmp_path) as tribrid:
        tribrid.create_corpus("c")
        tribrid.index("c", learnable.documents()[:5])
    shutil.rmtree(tmp_path / "indexes")
    with Tribrid(tmp_path) as tribrid:
        with pytest.raises(StaleIndex, match="5 documents and no index"):
            tribrid.search("c", QUERY)
        assert tribrid.index("c", learnable.documents()[:1])["embedded"] == 5
        assert tribrid.search("c", QUERY)["results"]


def test_an_upload_to_a_corpus_that_is_deleted_meanwhile_is_no_success(tmp_path: Path) -> None:
    with Tribrid(tmp_path) as tribrid:
        tribrid.create_corpus("c")

        def upload() -> Iterator[Document]:
            yield from learnable.documents()[:5]

        def deleted(type_: str, data: Mapping[str, Any]) -> None:
            if data.get("stage") == "reading":
                tribrid.delete_corpus("c")

        with pytest.raises(CorpusNotFound):
            tribrid.index("c", upload(), emit=deleted)
        assert not (tmp_path / "indexes" / "c").exists()


def test_a_workspace_may_be_opened_twice(tmp_path: Path) -> None:
    environment = read_environment().model_copy(update={"data_dir": tmp_path})
    one, other = Workspace(environment), Workspace(environment)
    one.store.corpora.create("c", "")
    assert other.store.corpora.get("c").corpus_id == "c"
    one.close()
    other.close()
