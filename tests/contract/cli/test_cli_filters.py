"""`--filter`, `--facet`, `--offset` and `--per` of `tribrid search`, and keys that are pinned to a filter."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli_calls import Cli
from http_examples import ndjson

GUIDE = "# Guide\n\n## Soup\n\nBoil the soup."


@pytest.fixture(scope="module")
def notes(data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("notes") / "notes.jsonl"
    records = [
        {"doc_id": f"n{n}", "text": GUIDE.replace("soup.", f"soup {n}."), "metadata": {"lang": ["de", "en"][n % 2]}}
        for n in range(6)
    ]
    file.write_bytes(ndjson(records))
    return file


def test_a_part_of_a_corpus_is_searched(cli: Cli, notes: Path) -> None:
    assert cli("index", "notes", str(notes)).code == 0
    german = ("search", "notes", "boil soup", "--filter", '{"lang": "de"}')
    found = cli(*german, "--facet", "lang", "--per", "passage", "--json").document
    assert {row["doc_id"] for row in found["results"]} == {"n0", "n2", "n4"}
    assert found["facets"] == {"lang": [{"value": "de", "documents": 3}]}
    shown = cli(*german, "--facet", "lang", "--facet", "none", "--offset", "2").out
    assert "Guide · lines 1 to 5" in shown
    assert "lang: de (3)" in shown
    assert "none: no document has it" in shown
    assert "n0" not in shown or "n2" not in shown
    for given, says in [("lang=de", "single quotes"), ('{"lang": {"is": 1}}', "filter.lang: there is no operator")]:
        refused = cli("search", "notes", "soup", "--filter", given)
        assert refused.code == 2
        assert says in " ".join(refused.err.split())


def test_a_key_is_pinned(cli: Cli) -> None:
    made = cli("keys", "create", "--scope", "search", "--filter", '{"lang": "de"}', "--json").document
    assert made["filter"] == {"lang": "de"}
    assert '"lang"' in cli("keys").out
    assert cli("keys", "create", "--scope", "admin", "--filter", '{"lang": "de"}').code == 2
    assert cli("keys", "list", "--filter", '{"lang": "de"}').code == 2
