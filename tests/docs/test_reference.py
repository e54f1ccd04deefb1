"""The reference says what the program does: written by docs/generate.py, complete, and never stale."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from typer.main import get_command

from tribrid import errors
from tribrid.api.server import routers
from tribrid.api.telemetry import Telemetry
from tribrid.cli.program import app
from tribrid.config import ENV_PREFIX, Config, Environment
from tribrid.evaluation.measures import MEASURES
from tribrid.types import EventType, Signal

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"


def page(name: str) -> str:
    return (DOCS / "reference" / name).read_text("utf-8")


@pytest.fixture(scope="module")
def generate() -> Any:
    """docs/generate.py as a module; its folder is on the path, as it is for a script."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(DOCS))
        return importlib.import_module("generate")


def test_nothing_is_stale(generate: Any, capsys: pytest.CaptureFixture[str]) -> None:
    code = generate.main(["--check"])
    assert code == 0, f"run `make docs`: {capsys.readouterr().out}"


def test_a_stale_page_is_told(
    generate: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(generate, "FOLDER", tmp_path)
    assert generate.main([]) == 0
    settings_page = tmp_path / "settings.md"
    settings_page.write_text(settings_page.read_text("utf-8").replace("`50`", "`51`"), "utf-8")
    (tmp_path / "errors.md").unlink()
    capsys.readouterr()
    assert generate.main(["--check"]) == 1
    assert capsys.readouterr().out == "stale: settings.md, errors.md\n"
    assert generate.main([]) == 0
    assert generate.main(["--check"]) == 0


def settings() -> list[str]:
    sections: list[tuple[str, Any]] = [(name, field.annotation) for name, field in Config.model_fields.items()]
    return [f"{section}.{name}" for section, model in sections for name in model.model_fields]


def lacking(expected: Iterable[str], text: str) -> list[str]:
    """What should be in the text and is not. An empty expectation would pass everything."""
    lines = list(expected)
    assert lines
    return [line for line in lines if line not in text]


def test_what_is_not_in_a_page_is_told() -> None:
    assert lacking(["| `a` |", "| `b` |"], "| `a` |") == ["| `b` |"]


def test_every_setting_is_there() -> None:
    assert not lacking([f"| `{name}` |" for name in settings()], page("settings.md"))


def test_every_command_is_there_with_its_options() -> None:
    group: Any = get_command(app)
    sections = {part.split("\n")[0]: part for part in page("commands.md").split("\n## ")[1:]}
    assert set(group.commands) <= sections.keys()
    lost = [
        f"{name} {typed}"
        for name, command in group.commands.items()
        for typed in options(command)
        if f"`{typed}".replace("|", "\\|") not in sections[name]
    ]
    assert not lost


def options(command: Any) -> list[str]:
    """A command's own options and arguments as they are typed, without those that every command has."""
    own = [p for p in command.params if p.rich_help_panel is None and not getattr(p, "hidden", False)]
    return [param.opts[0] if param.opts[0].startswith("-") else param.metavar for param in own]


def routes() -> Iterator[str]:
    for router in routers():
        for route in router.routes:
            # /docs itself is not in the document that it shows.
            for method in (getattr(route, "methods", None) or ()) if getattr(route, "include_in_schema", True) else ():
                # The OpenAPI document leaves out how a path parameter is matched.
                yield f"{method} {getattr(route, 'path', '')}".replace(":path}", "}")


def test_every_route_is_there() -> None:
    assert not lacking([f"\n### {route}\n" for route in sorted(routes())], page("routes.md"))


def tree(root: type[errors.TribridError]) -> Iterator[type[errors.TribridError]]:
    yield root
    for child in root.__subclasses__():
        yield from tree(child)


def test_every_error_is_there() -> None:
    rows = [
        f"| `{error.code}` | `{error.__name__}` | {error.title} | {error.status} | {error.exit_code} |"
        for error in tree(errors.TribridError)
    ]
    assert not lacking(rows, page("errors.md"))


def test_every_measure_is_there() -> None:
    assert not lacking([f"| `{key}` | `{name}` |" for key, name in MEASURES.items()], page("measures.md"))


def test_every_variable_is_there() -> None:
    fields = Environment.model_fields.keys() - {"overrides", "cloud_keys"}
    variables = [ENV_PREFIX + field.upper() for field in fields]
    variables += ["COHERE_API_KEY", "VOYAGE_API_KEY", "JINA_API_KEY"]
    assert not lacking([f"| `{name}` |" for name in variables], page("environment.md"))


def test_every_class_and_method_of_the_library_is_there() -> None:
    listed = {f"## {name}" for name in ("compare", "Tribrid", "Reranker", "Corpus", "Corpus.documents")}
    listed |= {"### Corpus.search", "### Corpus.train", "### Tribrid.rerank", "### Reranker.fit", "### Comparison.plot"}
    assert not lacking(sorted(f"\n{line}\n" for line in listed), page("library.md"))


def test_every_finding_is_there_and_says_what_tribrid_does(generate: Any) -> None:
    scripts = sorted(path.name for path in (ROOT / "findings").iterdir())
    assert len(scripts) > 5
    told = (DOCS / "findings.md").read_text("utf-8")
    assert not lacking([f"(../findings/{name})" for name in scripts], told)
    assert told.count("**What Tribrid does.**") == told.count("**Seen.**") == len(scripts)
    assert all(os.access(ROOT / "findings" / name, os.X_OK) for name in scripts)


def test_every_event_and_signal_is_there() -> None:
    assert not lacking([f"| `{name}` |" for name in (*get_args(EventType), *Signal)], page("events.md"))


def test_every_metric_is_on_the_page_about_production() -> None:
    # The process's own are Prometheus's usual ones.
    own = [family.name for family in Telemetry().registry.collect() if family.name.startswith("tribrid_")]
    assert not lacking([f"`{name}" for name in own], (DOCS / "deploying.md").read_text("utf-8"))


def test_what_was_promised_is_on_the_promised_pages() -> None:
    routes = ["status", "info", "mine", "train", "evaluate", "train/run/{run_id}", "train/run/{run_id}/metrics"]
    rows = [f"| `/reranker/{route}` |" for route in routes]
    assert not lacking(rows, (DOCS / "howto-train.md").read_text("utf-8"))
    settings = ["reranker_mode", "reranker_cloud_provider", "reranker_local_model", "tribrid_reranker_topn"]
    rows = [f"| `reranking.{name}` |" for name in [*settings, "rerank_input_snippet_chars"]]
    assert not lacking(rows, (DOCS / "howto-promote-export.md").read_text("utf-8"))
