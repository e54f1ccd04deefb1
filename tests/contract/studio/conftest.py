"""The studio as people meet it: a real server with a corpus through the whole loop, and a real Chromium before it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from typing import Any

import pytest

from http_examples import DOCUMENTS, EVALUATION, TRAINING
from serving import Serve, running
from studios import CORPUS, MARKUP, Studio
from tribrid import studio
from tribrid.app import Tribrid
from tribrid.types import Document, JudgedQuery


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Serve an app until the test ends."""
    with ExitStack() as stack:
        yield lambda app: stack.enter_context(running(app))


def judged(query: Mapping[str, Any]) -> JudgedQuery:
    return JudgedQuery(**query)


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    """A studio without keys, with a corpus that was mined, trained twice, and evaluated."""
    with Tribrid(tmp_path_factory.mktemp("studio")) as tribrid:
        corpus = tribrid.create_corpus(CORPUS, f"Notes {MARKUP}")
        odd = Document(f"odd/{MARKUP}", f"Read it. {MARKUP}", f"A title {MARKUP}")
        corpus.documents.add([*(Document(d["_id"], d["text"], d["title"]) for d in DOCUMENTS), odd])
        corpus.judgments.put([judged(query) for query in TRAINING])
        rated = [JudgedQuery("r", "read soup", {"notes/soup.md": 3, "notes/night.md": 0})]
        corpus.judgments.put(rated, judge="some-model", by="model")
        corpus.judgments.grade("r", "read soup", "notes/soup.md", 2, judge="anna", note=f"so so {MARKUP}")
        corpus.eval_dataset.put([judged(query) for query in EVALUATION])
        found = corpus.search(f"read {MARKUP}", client_id="somebody")
        tribrid.feedback(found.query_id, "click", found.results[0].doc_id)
        corpus.mine()
        runs = [corpus.train(epochs=1, cross_encoder=False, seed=seed) for seed in (1, 2)]
        evaluation = corpus.evaluate()
        corpus.promote(runs[0].model_id, "to see what serves", force=True)
        with running(studio.create_app(tribrid)) as server:
            assert evaluation.evaluation_id
            yield Studio(server, tribrid, runs[1].run_id, runs[0].run_id, runs[0].model_id, evaluation.evaluation_id)
