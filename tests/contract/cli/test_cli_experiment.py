"""`tribrid experiment`: start, look, stop, and what cannot be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cli_calls import Cli
from handmade import model
from http_examples import DOCUMENTS, ndjson
from tribrid.app import Tribrid

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def models(data_dir: Path, cli: Cli, tmp_path: Path) -> list[str]:
    """Two models of the corpus "kitchen", the older one its champion."""
    (tmp_path / "corpus.jsonl").write_bytes(ndjson(DOCUMENTS[:5]))
    assert cli("index", "kitchen", str(tmp_path / "corpus.jsonl")).code == 0
    with Tribrid(data_dir) as tribrid:
        made = [model(tribrid.folder, "kitchen", weight) for weight in (1.0, -1.0)]
        tribrid.corpus("kitchen").promote(made[0], reason="test", force=True)
    return made


def standing(cli: Cli, *words: str) -> Any:
    done = cli("experiment", *words, "--json")
    assert done.code == 0, done.err
    return done.document["experiment"]


def test_start_look_and_stop(cli: Cli, models: list[str], data_dir: Path) -> None:
    champion, challenger = models
    assert cli("experiment", "status", "kitchen").out.startswith("There was no experiment.")
    for words, code in (
        (("start", "kitchen", "none"), 3),
        (("start", "kitchen", champion), 4),
        (("start", "none"), 3),
        (("stop", "kitchen", challenger), 2),
        (("status", "kitchen", "--again"), 2),
        (("stop", "kitchen", "--ab"), 2),
        (("pause", "kitchen"), 2),
    ):
        assert cli("experiment", *words).code == code, words
    assert standing(cli, "status", "kitchen") is None, "what cannot be started changes nothing"
    cli("config", "kitchen", "reranking.experiment_impressions=2", "reranking.experiment_window_s=1")
    started = standing(cli, "start", "kitchen")
    assert (started["state"], started["challenger"]["model_id"], started["challenger"]["loaded"]) == (
        "running",
        challenger,
        True,
    )
    assert started["impressions"]["budget"] == 2
    assert cli("search", "kitchen", "a proxy", "--json").document["model_id"] == f"{champion}+{challenger}"
    stopped = standing(cli, "stop", "kitchen")
    assert (stopped["state"], stopped["experiment_id"]) == ("paused", started["experiment_id"])
    assert cli("search", "kitchen", "a proxy", "--json").document["model_id"] == champion
    assert standing(cli, "start", "kitchen")["experiment_id"] == started["experiment_id"], "it goes on"
    shown = cli("experiment", "status", "kitchen").out
    assert challenger in shown
    assert "no verdict yet" in shown
    with Tribrid(data_dir) as tribrid:
        newer = model(tribrid.folder, "kitchen", -2.0)
        tribrid.store.experiments.finish(started["experiment_id"], "decided", "no_difference", "used up")
    named = standing(cli, "start", "kitchen", newer)
    assert named["challenger"]["model_id"] == newer
    other = standing(cli, "start", "kitchen", challenger, "--again")
    assert (other["challenger"]["model_id"], other["state"]) == (challenger, "running"), "the other one made way"
    with Tribrid(data_dir) as tribrid:
        tribrid.store.experiments.finish(other["experiment_id"], "decided", "challenger_worse", "worse")
    assert cli("experiment", "start", "kitchen", challenger).code == 4, "compared already"
    ab = standing(cli, "start", "kitchen", "given", "--ab")
    assert (ab["design"], ab["challenger"]["model_id"], ab["challenger"]["loaded"]) == ("ab", "given", None)
    shown = cli("experiment", "status", "kitchen").out
    assert "A/B: a client sees one of the two" in shown
    assert "When it would end cannot be told yet" in shown
    assert standing(cli, "start", "kitchen", "retrieval")["design"] == "interleave", (
        "another challenger, another design"
    )
