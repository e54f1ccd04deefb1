"""What is in deploy/, held to the program. No container tool runs here: every path, port and name is looked up."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from conftest import REPO_ROOT
from tribrid.cli.program import app as program
from tribrid.config import Environment

DEPLOY = REPO_ROOT / "deploy"
CONTAINERFILES = sorted(DEPLOY.glob("Containerfile*"))
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))
SERVICES: dict[str, Any] = COMPOSE["services"]
DEFAULT_PORT = Environment.model_fields["port"].default
MADE_BY_HAND = {"metrics.key"}
VARIABLE = re.compile(r"\$\{(\w+)(?::?[-?]([^}]*))?\}")


def instructions(path: Path) -> list[tuple[str, str]]:
    """Instruction and its arguments, continued lines joined."""
    text = re.sub(r"\\\n\s*", "", path.read_text("utf-8"))
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(name, rest.strip()) for name, _, rest in (line.partition(" ") for line in lines)]


def environment_of(path: Path) -> dict[str, str]:
    return dict(pair.split("=", 1) for name, rest in instructions(path) if name == "ENV" for pair in rest.split())


def sources(path: Path) -> Iterator[str]:
    """What is copied out of the source folder."""
    for name, rest in instructions(path):
        if name == "COPY" and "--from=" not in rest:
            yield from rest.split()[:-1]


def mounts() -> Iterator[tuple[str, str, str]]:
    """Service, what is mounted, and where."""
    for name, service in SERVICES.items():
        for mount in service.get("volumes", []):
            what, where, *_ = mount.split(":")
            yield name, what, where


def documented(variable: str) -> bool:
    return f"`{variable}`" in (REPO_ROOT / "docs" / "reference" / "environment.md").read_text("utf-8")


@pytest.mark.parametrize("path", CONTAINERFILES, ids=lambda path: path.name)
def test_a_containerfile_copies_what_there_is_and_what_is_not_ignored(path: Path) -> None:
    allowed = {
        line[1:] for line in (REPO_ROOT / ".dockerignore").read_text("utf-8").splitlines() if line.startswith("!")
    }
    copied = set(sources(path))
    assert {"pyproject.toml", "src"} <= copied
    assert all((REPO_ROOT / name).exists() for name in copied), copied
    assert copied <= allowed
    project = tomllib.loads((REPO_ROOT / "pyproject.toml").read_text("utf-8"))
    assert project["project"]["readme"] in copied
    assert set(project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]) <= {
        f"data/{file.name}" for file in (REPO_ROOT / "data").iterdir()
    }


@pytest.mark.parametrize("path", CONTAINERFILES, ids=lambda path: path.name)
def test_a_containerfile_names_what_the_program_has(path: Path) -> None:
    told = dict(instructions(path))
    text = path.read_text("utf-8")
    extras = tomllib.loads((REPO_ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    for named in re.findall(r"'\.\[([\w,]+)\]'", text):
        assert set(named.split(",")) <= extras.keys()
    assert json.loads(told["ENTRYPOINT"]) == ["tribrid"]
    assert json.loads(told["CMD"]) == ["serve"]
    assert any(command.name == "serve" for command in program.registered_commands)
    assert int(told["EXPOSE"]) == DEFAULT_PORT
    ours = environment_of(path)
    assert all(documented(name) for name in ours if name.startswith("TRIBRID_"))
    assert ours["TRIBRID_DATA_DIR"] == told["VOLUME"]
    assert told["USER"] not in ("root", "0")
    port, route = re.findall(r"http://127\.0\.0\.1:(\d+)(/\w+)", told["HEALTHCHECK"])[0]
    assert int(port) == DEFAULT_PORT
    assert route in routes()
    assert "pip install --no-cache-dir" in text


def routes() -> set[str]:
    """Those of the reference, which is written from the program."""
    return set(
        re.findall(
            r"^### GET (/\S*)$", (REPO_ROOT / "docs" / "reference" / "routes.md").read_text("utf-8"), re.MULTILINE
        )
    )


def test_the_image_that_serves_brings_no_extra() -> None:
    assert "[" not in re.sub(r"\[\"[^\n]*", "", (DEPLOY / "Containerfile").read_text("utf-8"))


def test_compose_builds_from_what_there_is() -> None:
    build = SERVICES["tribrid"]["build"]
    context = (DEPLOY / build["context"]).resolve()
    assert context == REPO_ROOT
    ((_, default),) = VARIABLE.findall(build["dockerfile"])
    assert (context / default).is_file()
    for path in CONTAINERFILES:
        assert f"deploy/{path.name}" in (DEPLOY / "compose.yaml").read_text("utf-8")


def test_compose_mounts_files_that_there_are_and_volumes_that_it_declares() -> None:
    found = list(mounts())
    assert len(found) > 5
    for service, what, _ in found:
        if what.startswith("./"):
            assert (DEPLOY / what).is_file(), (service, what)
        else:
            assert what in COMPOSE["volumes"], (service, what)
    for secret in COMPOSE["secrets"].values():
        name = Path(secret["file"]).name
        assert name in MADE_BY_HAND
        assert f"/deploy/{name}" in (REPO_ROOT / ".gitignore").read_text("utf-8").split()
        assert name in (REPO_ROOT / "docs" / "deploying.md").read_text("utf-8")
    assert {service: where for service, what, where in found if what == "data"}["tribrid"] == "/data"


def test_compose_opens_this_machine_s_ports_alone_and_sets_what_is_documented() -> None:
    for name, service in SERVICES.items():
        assert all(port.startswith("127.0.0.1:") for port in service["ports"]), name
        assert set(service.get("depends_on", [])) <= SERVICES.keys()
        assert set(service.get("secrets", [])) <= COMPOSE["secrets"].keys()
        if "image" in service:
            assert re.fullmatch(r"[\w/-]+:v?\d+\.\d+\.\d+", service["image"]), "a version, not latest"
    assert SERVICES["tribrid"]["ports"] == [f"127.0.0.1:{DEFAULT_PORT}:{DEFAULT_PORT}"]
    assert all(documented(name) for name in SERVICES["tribrid"]["environment"])


def test_prometheus_scrapes_the_server_and_reads_the_rules() -> None:
    told = yaml.safe_load((DEPLOY / "prometheus.yml").read_text("utf-8"))
    where = {what: at for service, what, at in mounts() if service == "prometheus"}
    folder = Path(where["./prometheus.yml"]).parent
    assert [str(folder / name) for name in told["rule_files"]] == [where["./alerts.yml"]]
    (job,) = told["scrape_configs"]
    assert job["metrics_path"] in routes()
    assert job["static_configs"] == [{"targets": [f"tribrid:{DEFAULT_PORT}"]}]
    assert job["authorization"]["credentials_file"] == f"/run/secrets/{SERVICES['prometheus']['secrets'][0]}"


def test_grafana_finds_its_source_and_its_dashboard() -> None:
    where = {what: at for service, what, at in mounts() if service == "grafana"}
    (source,) = yaml.safe_load((DEPLOY / "grafana-datasources.yml").read_text("utf-8"))["datasources"]
    port = SERVICES["prometheus"]["ports"][0].rsplit(":", 1)[1]
    assert source["url"] == f"http://prometheus:{port}"
    board = json.loads((DEPLOY / "grafana.json").read_text("utf-8"))
    (variable,) = (one for one in board["templating"]["list"] if one["type"] == "datasource")
    assert variable["query"] == source["type"]
    (provider,) = yaml.safe_load((DEPLOY / "grafana-dashboards.yml").read_text("utf-8"))["providers"]
    assert str(Path(where["./grafana.json"]).parent) == provider["options"]["path"]
