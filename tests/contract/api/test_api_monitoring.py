"""What is watched from outside: series are there before the first event, and the files in deploy/ name no other."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest

from serving import Serve
from tribrid.api import create_app
from tribrid.app import Tribrid
from tribrid.app.retention import Gauges

DEPLOY = Path(__file__).parents[3] / "deploy"
_METRIC = re.compile(r"\b((?:tribrid|process)_[a-z_]+)(?:\{([^}]*)\})?")
_MATCH = re.compile(r'(\w+)(=~|!=|!~|=)"([^"]*)"')
_GROUPING = re.compile(r"\b(?:by|on|without) \(([^)]*)\)")
_SAMPLE = re.compile(r"^(\w+)(?:\{(.*)\})? [^ ]+$", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="([^"]*)"')

Series = dict[str, list[dict[str, str]]]


def series_of(text: str) -> Series:
    """The labels of every sample, by its name."""
    found: Series = {}
    for name, labels in _SAMPLE.findall(text):
        found.setdefault(name, []).append(dict(_LABEL.findall(labels)))
    return found


def faults(expression: str, series: Series) -> list[str]:
    """What an expression names that no series has."""
    told, labels = [], set()
    for name, selector in _METRIC.findall(expression):
        there = series.get(name, [])
        told += _of_selector(name, selector, there) if there else [f"{name} is no series"]
        labels |= {label for one in there for label in one}
    grouped = {label.strip() for group in _GROUPING.findall(expression) for label in group.split(",")}
    return told + [f"no series of it has the label {label}" for label in sorted(grouped - labels)]


def _of_selector(name: str, selector: str, there: list[dict[str, str]]) -> list[str]:
    told = []
    for label, operator, value in _MATCH.findall(selector):
        if not any(label in one for one in there):
            told.append(f"{name} has no label {label}")
        elif operator == "=" and value not in {one.get(label) for one in there}:
            told.append(f"{name} never has {label}={value!r}")
    return told


def alerts() -> list[str]:
    """The expressions of the alert rules."""
    return re.findall(r"^ +expr: (.+)$", (DEPLOY / "alerts.yml").read_text(), re.MULTILINE)


def panels() -> list[str]:
    """The expressions of the dashboard, and what it shows of labels as one more of each."""
    board: dict[str, Any] = json.loads((DEPLOY / "grafana.json").read_text())
    return [
        f"{target['expr']} by ({', '.join(shown)})" if (shown := re.findall(r"{{(\w+)}}", target["legendFormat"])) else
        target["expr"]
        for panel in board["panels"]
        for target in panel["targets"]
    ]  # fmt: skip


@pytest.fixture
def fresh(serve: Serve, idle_tribrid: Tribrid) -> httpx.Client:
    """A server that nobody has asked anything yet."""
    return serve(create_app(idle_tribrid)).client()


def test_alerts_and_dashboard_name_series_that_a_fresh_server_has(fresh: httpx.Client) -> None:
    fresh.get("/corpora")  # so that requests have been answered
    fresh.post("/search", json={})
    series = series_of(fresh.get("/metrics").text)
    assert len(alerts()) > 8
    assert len(panels()) > 12
    assert [(e, told) for e in [*alerts(), *panels()] if (told := faults(e, series))] == []


@pytest.mark.parametrize(
    "expression",
    [
        "tribrid_gone > 0",
        'tribrid_jobs{sort="mine"} > 0',
        'tribrid_jobs{state="asleep"} > 0',
        "sum by (nobody) (tribrid_jobs)",
    ],
)
def test_a_name_that_no_series_has_is_seen(fresh: httpx.Client, expression: str) -> None:
    assert len(faults(expression, series_of(fresh.get("/metrics").text))) == 1


def test_every_known_series_is_there_before_its_first_event(fresh: httpx.Client) -> None:
    text = fresh.get("/metrics").text
    for line in (
        'tribrid_search_fallbacks_total{reason="scorer_failed"} 0.0',
        'tribrid_search_fallbacks_total{reason="model_unavailable"} 0.0',
        'tribrid_clicked_rank_count{model_id="retrieval"} 0.0',
        'tribrid_searches_total{model_id="retrieval",reranked="false"} 0.0',
        'tribrid_jobs{kind="train",state="running"} 0.0',
        'tribrid_http_requests_total{method="POST",route="/search",status="503"} 0.0',
        'tribrid_troubles{what="index"} 0.0',
        'tribrid_corpus_searchable{corpus_id="a"} 1.0',
        "tribrid_search_unlogged_total 0.0",
    ):
        assert line in text


def test_a_model_has_its_series_before_its_first_search_and_click(idle_tribrid: Tribrid) -> None:
    telemetry = create_app(idle_tribrid).state.telemetry
    seen = Gauges(jobs={}, champions={"a": "5b1e"})
    text = telemetry.text(ready=True, seen=seen).decode()
    assert 'tribrid_clicked_rank_count{model_id="5b1e"} 0.0' in text
    assert 'tribrid_searches_total{model_id="5b1e",reranked="true"} 0.0' in text
    telemetry.searched(True, "5b1e+77aa", None)
    assert 'tribrid_clicked_rank_count{model_id="5b1e+77aa"} 0.0' in telemetry.text(ready=True, seen=seen).decode()
