"""`tribrid keys` and `tribrid logs prune`."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli_calls import Cli
from tribrid.app import Tribrid
from tribrid.cli.program import run
from tribrid.jobs.processes import WorkerLock
from tribrid.jobs.supervisor import worker_for
from tribrid.store.database import now_us
from tribrid.types import Impression, ShownDoc
from waiting import until

DAY_US = 24 * 3600 * 1_000_000


def test_a_key_is_shown_once(cli: Cli) -> None:
    made = cli("keys", "create", "--scope", "search", "--scope", "feedback", "--name", "web")
    assert made.code == 0
    key = made.out.strip()
    assert len(key.split("_", 2)) == 3
    assert "once" in made.err
    key_id = key.split("_")[1]
    (listed,) = cli("keys", "--json").document["keys"]
    assert listed.items() >= {"key_id": key_id, "name": "web", "scopes": ["search", "feedback"]}.items()
    secret = key.split("_", 2)[2]
    shown = cli("keys")
    assert key_id in shown.out
    assert secret not in shown.out + cli("keys", "--json").out
    assert cli("keys", "revoke", key_id, "--json").document["revoked_at"]
    assert cli("keys", "revoke", "none").code == 3


def test_the_first_key_warns_and_asks_where_a_server_may_run(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    def keys(*words: str) -> tuple[int, str, str]:
        code = run(["--data-dir", str(tmp_path), "keys", *words])
        return code, *capfd.readouterr()

    create = ("create", "--scope", "search")
    with worker_for(tmp_path):
        until(lambda: WorkerLock(tmp_path).holder() is not None)
        code, out, err = keys(*create)
        assert (code, out) == (2, "")
        assert "first key" in err
        assert "--scope admin" in err
        assert "--yes" in err
        assert keys("list", "--json")[1].strip() == '{\n  "keys": []\n}'
        assert keys(*create, "--scope", "admin", "--yes")[0] == 0
        assert "first key" not in keys(*create)[2]


def test_no_server_is_no_question(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["--data-dir", str(tmp_path), "keys", "create", "--scope", "admin"]) == 0
    said = capfd.readouterr().err
    assert "first key" in said
    assert "--scope admin" not in said


def test_a_key_is_bound_by_name(cli: Cli, corpus: str) -> None:
    made = cli("keys", "create", "--scope", "search", "--corpus", corpus, "--json").document
    assert made["corpora"] == [corpus]
    assert corpus in cli("keys").out
    assert cli("keys", "create", "--scope", "search", "--corpus", "none").code == 3
    assert cli("keys", "list", "--corpus", corpus).code == 2


@pytest.mark.parametrize(
    "words",
    [["create"], ["create", "--scope", "root"], ["create", "abc", "--scope", "search"], ["revoke"],
     ["list", "abc"], ["revoke", "abc", "--scope", "search"], ["burn"]],
)  # fmt: skip
def test_a_call_that_makes_no_sense(words: list[str], cli: Cli) -> None:
    assert cli("keys", *words).code == 2


def test_old_searches_are_deleted_and_young_ones_stay(cli: Cli, data_dir: Path) -> None:
    with Tribrid(data_dir) as tribrid:
        for corpus_id in ("old", "kept"):
            tribrid.create_corpus(corpus_id)
            for days in (1, 10, 100):
                at = now_us() - days * DAY_US
                shown = (ShownDoc("d", 1, 1.0, 0, 1, {}),)
                row = Impression(f"{corpus_id}-{days}", corpus_id, "q", shown, "retrieval", False, None, 1.0, at)
                tribrid.store.logs.add_impression(row)
        tribrid.corpus("old").patch_settings({"logs": {"retention_days": 30}})
    assert "not set" in cli("logs", "prune", "kept").out
    assert cli("logs", "prune", "--json").document == {"deleted": 1, "corpora": {"old": 1}}
    assert cli("logs", "prune", "kept", "--days", "5", "--json").document == {"deleted": 2, "corpora": {"kept": 2}}
    assert cli("logs", "prune", "none").code == 3
    with Tribrid(data_dir) as tribrid:
        assert tribrid.corpus("old").logs.stats().impressions == 2
        assert tribrid.corpus("kept").logs.stats().impressions == 1
        tribrid.corpus("old").delete()
        tribrid.corpus("kept").delete()
