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
from tribrid.workspace.data_folder import DataFolder

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
            reports = list(
                pool.map(lambda folder: opened.corpus("c").documents.add_path(folder, mirror=True), folders * 2)
            )
        assert all(report.documents == 30 for report in reports)
        assert all(report.unchanged >= 0 for report in reports)
        names = {doc_id.partition("-")[0] for doc_id in opened.store.documents.hashes("c")}
        assert len(names) == 1
        assert opened.corpus("c").describe().documents == opened.corpus("c").describe().passages == 30


def doctors_word(tribrid: Tribrid) -> tuple[bool, str]:
    (check,) = [check for check in tribrid.doctor() if check.check == "corpora"]
    return check.ok, check.detail


def test_doctor_names_the_corpus_whose_index_or_reranker_is_gone(tmp_path: Path) -> None:
    with Tribrid(tmp_path / "data") as opened:
        for corpus_id in ("whole", "broken"):
            opened.create_corpus(corpus_id)
            opened.corpus(corpus_id).documents.add(learnable.documents()[:5])
        assert doctors_word(opened)[0]
        opened.corpus("broken").patch_settings(
            {"reranking": {"reranker_mode": "local", "reranker_local_model": "/nowhere"}}
        )
        ok, told = doctors_word(opened)
        assert (ok, "1 of 2" in told, "broken: " in told, "whole" in told) == (False, True, True, False)
        opened.corpus("broken").patch_settings({"reranking": None})
    shutil.rmtree(tmp_path / "data" / "indexes" / "broken")
    with Tribrid(tmp_path / "data") as opened:
        ok, told = doctors_word(opened)
        assert (ok, "no index" in told) == (False, True)


def test_before_anything_the_next_step_is_named(tmp_path: Path) -> None:
    with Tribrid(tmp_path) as opened:
        with pytest.raises(CorpusNotFound):
            opened.corpus("c").search("anything")
        opened.create_corpus("c")
        found = opened.corpus("c").search("anything", client_id="me")
        assert found.results == ()
        assert opened.store.logs.impression(found.query_id).client_id == "me"
        with pytest.raises(NoDocuments):
            opened.corpus("c").submit_mine()
        with pytest.raises(NoTriplets):
            opened.corpus("c").submit_train({"cross_encoder": False})
        with pytest.raises(NoDocuments):
            opened.corpus("c").submit_evaluate()
        with pytest.raises(NoModel):
            opened.corpus("c").promote(reason="because")
        with pytest.raises(NoModel):
            opened.corpus("c").rollback()
        opened.corpus("c").documents.add(learnable.documents()[:3])
        with pytest.raises(NoEvalDataset):
            opened.corpus("c").submit_evaluate()
        assert opened.store.jobs.list("c") == []


def test_a_lost_index_is_told_and_rebuilt(tmp_path: Path) -> None:
    with Tribrid(tmp_path) as tribrid:
        tribrid.create_corpus("c")
        tribrid.corpus("c").documents.add(learnable.documents()[:5])
    shutil.rmtree(tmp_path / "indexes")
    with Tribrid(tmp_path) as tribrid:
        with pytest.raises(StaleIndex, match="5 documents and no index"):
            tribrid.corpus("c").search(QUERY)
        assert tribrid.corpus("c").documents.add(learnable.documents()[:1]).embedded == 5
        assert tribrid.corpus("c").search(QUERY).results


def test_an_upload_to_a_corpus_that_is_deleted_meanwhile_is_no_success(tmp_path: Path) -> None:
    with Tribrid(tmp_path) as tribrid:
        tribrid.create_corpus("c")

        def upload() -> Iterator[Document]:
            yield from learnable.documents()[:5]

        def deleted(type_: str, data: Mapping[str, Any]) -> None:
            if data.get("stage") == "reading":
                tribrid.corpus("c").delete()

        with pytest.raises(CorpusNotFound):
            tribrid.corpus("c").documents.add(upload(), emit=deleted)
        assert not (tmp_path / "indexes" / "c").exists()


def test_a_workspace_may_be_opened_twice(tmp_path: Path) -> None:
    environment = read_environment().model_copy(update={"data_dir": tmp_path})
    one, other = DataFolder(environment), DataFolder(environment)
    one.store.corpora.create("c", "")
    assert other.store.corpora.get("c").corpus_id == "c"
    one.close()
    other.close()
