"""The reference says what the program does: written by docs/generate.py, complete, and never stale."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
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
    """docs/generate.py as a module."""
    spec = importlib.util.spec_from_file_location("generate", DOCS / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


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


@pytest.mark.parametrize("name", settings())
def test_every_setting_is_there(name: str) -> None:
    assert f"| `{name}` |" in page("settings.md")


def commands() -> dict[str, Any]:
    group: Any = get_command(app)
    found: dict[str, Any] = group.commands
    return found


@pytest.mark.parametrize("name", commands())
def test_every_command_is_there_with_its_options(name: str) -> None:
    section = page("commands.md").split(f"\n## {name}\n")[1].split("\n## ")[0]
    for param in commands()[name].params:
        if param.rich_help_panel is None and not getattr(param, "hidden", False):
            typed = param.opts[0] if param.opts[0].startswith("-") else param.metavar
            assert f"`{typed}".replace("|", "\\|") in section, typed


def routes() -> Iterator[str]:
    for router in routers():
        for route in router.routes:
            # /docs itself is not in the document that it shows.
            for method in (getattr(route, "methods", None) or ()) if getattr(route, "include_in_schema", True) else ():
                # The OpenAPI document leaves out how a path parameter is matched.
                yield f"{method} {getattr(route, 'path', '')}".replace(":path}", "}")


@pytest.mark.parametrize("route", sorted(routes()))
def test_every_route_is_there(route: str) -> None:
    assert f"\n### {route}\n" in page("routes.md")


def tree(root: type[errors.TribridError]) -> Iterator[type[errors.TribridError]]:
    yield root
    for child in root.__subclasses__():
        yield from tree(child)


@pytest.mark.parametrize("error", list(tree(errors.TribridError)), ids=lambda error: error.__name__)
def test_every_error_is_there(error: type[errors.TribridError]) -> None:
    assert f"| `{error.code}` | `{error.__name__}` | {error.title} | {error.status} | {error.exit_code} |" in page(
        "errors.md"
    )


@pytest.mark.parametrize("key", MEASURES)
def test_every_measure_is_there(key: str) -> None:
    assert f"| `{key}` | `{MEASURES[key]}` |" in page("measures.md")


@pytest.mark.parametrize(
    "field", [name for name in Environment.model_fields if name not in ("overrides", "cloud_keys")]
)
def test_every_variable_is_there(field: str) -> None:
    assert f"| `{ENV_PREFIX}{field.upper()}` |" in page("environment.md")


def test_every_key_of_a_service_is_there() -> None:
    for name in ("COHERE_API_KEY", "VOYAGE_API_KEY", "JINA_API_KEY"):
        assert f"| `{name}` |" in page("environment.md")


@pytest.mark.parametrize("name", [*get_args(EventType), *Signal])
def test_every_event_and_signal_is_there(name: str) -> None:
    assert f"| `{name}` |" in page("events.md")


@pytest.mark.parametrize("family", list(Telemetry().registry.collect()), ids=lambda family: family.name)
def test_every_metric_is_on_the_page_about_production(family: Any) -> None:
    if family.name.startswith("tribrid_"):  # the process's own are Prometheus's usual ones
        assert f"`{family.name}" in (DOCS / "deploying.md").read_text("utf-8")


@pytest.mark.parametrize(
    "route",
    ["/reranker/status", "/reranker/info", "/reranker/mine", "/reranker/train", "/reranker/evaluate",
     "/reranker/train/run/{run_id}", "/reranker/train/run/{run_id}/metrics"],
)  # fmt: skip
def test_the_promised_routes_are_on_the_promised_page(route: str) -> None:
    assert f"| `{route}` |" in (DOCS / "howto-train.md").read_text("utf-8")


@pytest.mark.parametrize(
    "field",
    ["reranker_mode", "reranker_cloud_provider", "reranker_local_model", "tribrid_reranker_topn",
     "rerank_input_snippet_chars"],
)  # fmt: skip
def test_the_promised_settings_are_on_the_promised_page(field: str) -> None:
    assert f"| `reranking.{field}` |" in (DOCS / "howto-promote-export.md").read_text("utf-8")
