"""What works on this machine: each check does the thing and times it."""

from __future__ import annotations

import importlib
import importlib.util
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tribrid.answers.status import DoctorCheck
from tribrid.app.parts import quiet
from tribrid.errors import TribridError
from tribrid.jobs import Supervisor
from tribrid.loop import index, search
from tribrid.retrieval.publication import REBUILD
from tribrid.types import Document
from tribrid.workspace.corpus import OpenCorpus, open_corpus
from tribrid.workspace.data_folder import DataFolder

_DOCUMENTS = [
    Document("renew", "To renew the certificate run the renewal command and restart the proxy.", "Certificates"),
    Document("lunch", "The kitchen serves soup on Mondays and pasta on Fridays.", "Canteen"),
    Document("backup", "Backups are written every night and kept for thirty days.", "Backups"),
]
LEAST_FREE_BYTES = 2 * 2**30
TRAINING = ("torch", "transformers", "accelerate", "lightgbm", "scipy", "ir_measures", "onnx", "onnxscript")
"""What the extra train brings, but for the default encoder, whose check is the encoder's."""


@dataclass(frozen=True)
class _Machine:
    folder: DataFolder
    supervisor: Supervisor


def diagnose(folder: DataFolder, supervisor: Supervisor) -> list[DoctorCheck]:
    """Every check with whether it passed, what was found, and its seconds; `needed` checks must pass to serve."""
    machine = _Machine(folder, supervisor)
    checks: list[tuple[str, bool, Callable[[_Machine], str]]] = [
        ("data folder", True, _data_dir),
        ("database", True, _database),
        ("object store", True, _storage),
        ("encoder", True, _encoder),
        ("index and search", True, _search),
        ("corpora", True, _corpora),
        ("worker", True, _worker),
        ("training packages", False, _training),
        ("rerank service", False, _cloud),
    ]
    return [_run(machine, name, needed, check) for name, needed, check in checks]


def _run(machine: _Machine, name: str, needed: bool, check: Callable[[_Machine], str]) -> DoctorCheck:
    started = time.monotonic()
    try:
        detail, ok = check(machine), True
    except (TribridError, OSError) as error:
        detail, ok = str(error), False
    took_s = round(time.monotonic() - started, 3)
    return DoctorCheck(check=name, ok=ok, needed=needed, detail=detail, took_s=took_s)


def _data_dir(machine: _Machine) -> str:
    folder = machine.folder.data_dir
    with tempfile.NamedTemporaryFile(dir=folder) as probe:
        probe.write(b"probe")
    free = shutil.disk_usage(folder).free
    if free < LEAST_FREE_BYTES:
        raise OSError(f"only {free / 2**30:.1f} GiB free where the data folder is; 2 GiB are needed")
    return f"writable, {free / 2**30:.0f} GiB free"


def _database(machine: _Machine) -> str:
    return f"{len(machine.folder.store.corpora.list())} corpora"


def _storage(machine: _Machine) -> str:
    objects = machine.folder.objects
    if objects is None:
        return "not used: indexes and models are in the data folder"
    objects.check()
    return f"{objects.address} answers"


def _encoder(machine: _Machine) -> str:
    embedder = machine.folder.embedder(machine.folder.config())
    vector = embedder.embed_query("does this work")
    return f"{embedder.fingerprint}: {len(vector)} dimensions"


def _search(machine: _Machine) -> str:
    """Index three documents in a folder of its own and ask a question whose answer is known."""
    with tempfile.TemporaryDirectory() as folder:
        places = {"data_dir": Path(folder), "database_url": None, "storage_url": None}
        elsewhere = machine.folder.environment.model_copy(update=places)
        fresh = DataFolder(elsewhere)
        try:
            fresh.share_encoders(machine.folder)
            # Whatever serves here: a rerank service would be paid for this question.
            fresh.store.settings.patch("", {"reranking": {"reranker_mode": "none"}})
            fresh.store.corpora.create("doctor", "")
            fresh.store.documents.upsert("doctor", _DOCUMENTS)
            corpus = open_corpus(fresh, "doctor")
            index.index(corpus, quiet)
            impression = search.search(corpus, search.Asked("how do I renew the certificate", 3)).impression
        finally:
            fresh.close()
    best = impression.shown[0].doc_id if impression.shown else None
    if best != "renew":
        raise OSError(f"the search returned {best!r} first instead of 'renew'")
    return f"right answer in {impression.took_ms:.0f} ms"


def _corpora(machine: _Machine) -> str:
    """Whether each corpus's files are as they were written, a search of it finds something, all its documents are
    indexed, and whoever reranks it here loads.
    """
    folder, trouble = machine.folder, []
    corpora = folder.store.corpora.list()
    for row in corpora:
        corpus = open_corpus(folder, row.corpus_id)
        if folder.uploads.unfinished(row.corpus_id):
            trouble.append(f"{row.corpus_id}: an upload or erasure broke off. Start the server, or do it again.")
        try:
            corpus.index.check(whole=True)
            if _finds_nothing(corpus):
                trouble.append(f"{row.corpus_id}: a search finds nothing. {REBUILD}")
            if corpus.config.reranking.reranker_mode != "cloud":  # a service has its own check
                _ = corpus.scorer
        except TribridError as error:
            trouble.append(f"{row.corpus_id}: {error.detail}")
    if trouble:
        raise OSError(f"{len(trouble)} of {len(corpora)} cannot be served as they are meant to. {' '.join(trouble)}")
    return f"{len(corpora)} can be searched, and what reranks them loads"


def _finds_nothing(corpus: OpenCorpus) -> bool:
    """Whether a search of what is indexed finds nothing; one that waits for its first indexing has nothing to find."""
    if corpus.index.fingerprint is None and corpus.waits_for_index is not None:
        return False
    return not corpus.retriever.retrieve("does this work", 1) and corpus.index.count() > 0


def _worker(machine: _Machine) -> str:
    machine.supervisor.ensure_worker()
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        health = machine.supervisor.health()
        if health.alive:
            return f"running as process {health.pid}"
        time.sleep(0.1)
    raise OSError(f"no worker came up in 20 s: {machine.supervisor.health().detail}")


def _training(_machine: _Machine) -> str:
    missing = [name for name in TRAINING if importlib.util.find_spec(name) is None]
    if missing:
        raise OSError(f"training needs {', '.join(missing)}: pip install '.[train]' in Tribrid's source folder")
    importlib.import_module("lightgbm")  # it stands on the system's OpenMP runtime, which pip does not bring
    return "installed"


def _cloud(machine: _Machine) -> str:
    """Ask each service that serves a question that costs nothing: whether it is there, and takes the key."""
    folder = machine.folder
    everywhere = folder.config().reranking
    corpora = [open_corpus(folder, row.corpus_id).config.reranking for row in folder.store.corpora.list()]
    serving = {config: None for config in [everywhere, *corpora] if config.reranker_mode == "cloud"}
    if not serving:
        return f"not used: reranking.reranker_mode is {everywhere.reranker_mode}"
    return "; ".join(dict.fromkeys(folder.clouds.probe(config, everywhere) for config in serving))
