"""The logs of a corpus: how much there is, who acts, how people look; what comes from elsewhere, and what is erased."""

from __future__ import annotations

from contextlib import suppress

from fastapi import APIRouter
from starlette.responses import Response

from tribrid.answers.jobs import MiningCounts
from tribrid.answers.logs import Day
from tribrid.api.forms import Posted
from tribrid.app.corpus import Corpus
from tribrid.errors import InvalidInput, NoTriplets
from tribrid.report.plots import Axis, Curve, Point, Series, curve
from tribrid.studio.visit import Here

router = APIRouter()
FREQUENT = 20
KINDS = ("query_id", "query", "client_id", "doc_id")
FORMATS = (
    ("native", "Tribrid’s own: queries with what was shown, and events (NDJSON)"),
    ("ubi", "OpenSearch UBI 1.3 (NDJSON)"),
    ("clicks", "Clicks alone: query, doc_id, timestamp (CSV or NDJSON)"),
)


@router.get("/studio/c/{corpus_id}/logs")
def logs(visit: Here, corpus_id: str) -> Response:
    """What there is, and a form for more."""
    corpus = visit.tribrid.corpus(corpus_id)
    counts = _mined(corpus)
    days = corpus.logs.days()
    return visit.page(
        "logs.html",
        corpus=corpus_id,
        here="logs",
        stats=corpus.logs.stats(),
        days=days,
        traffic=_traffic(days),
        frequent=corpus.logs.frequent(FREQUENT),
        clients=counts.clients if counts else None,
        looks=_looks(counts),
        formats=FORMATS,
        kinds=KINDS,
        erasures=corpus.erasures() if visit.may() else None,
    )


@router.post("/studio/c/{corpus_id}/logs")
def take(visit: Here, corpus_id: str, form: Posted) -> Response:
    """Import a log, and say how much of it joined and what did not."""
    if len(form.files) != 1:
        raise InvalidInput("Choose one file.")
    done = visit.tribrid.corpus(corpus_id).logs.add(form.files[0].content, format=form.text("format"))
    return visit.page("imported.html", corpus=corpus_id, here="logs", done=done, format=form.text("format"))


@router.post("/studio/c/{corpus_id}/logs/erase")
def erase(visit: Here, corpus_id: str, form: Posted) -> Response:
    """Erase what is named, wherever it is."""
    kind = form.text("kind")
    if kind not in KINDS:
        raise InvalidInput(f"kind: one of {', '.join(KINDS)}.")
    done = visit.tribrid.corpus(corpus_id).erase(**{kind: form.whole("what")})
    return visit.page("erased.html", corpus=corpus_id, here="logs", erased=done)


def _mined(corpus: Corpus) -> MiningCounts | None:
    """What the last mining counted."""
    with suppress(NoTriplets):
        return corpus.triplets(limit=1).counts
    return None


def _looks(counts: MiningCounts | None) -> Curve | None:
    """The click model's curve: how likely each rank is looked at."""
    model = counts.click_model if counts else None
    if model is None or len(model.examination) < 2:
        return None
    points = [Point(rank, share, title=f"rank {rank}: {share:.0%}") for rank, share in enumerate(model.examination, 1)]
    return curve([Series(points, "after")], y=Axis(0.0, 1.0))


def _traffic(days: list[Day]) -> Curve | None:
    """Lists a day, and those that somebody acted on."""
    if len(days) < 2:
        return None
    first = days[0].day.toordinal()
    lists = [
        Point(row.day.toordinal() - first, row.impressions, title=f"{row.day}: {row.impressions:,}") for row in days
    ]
    acted = [Point(row.day.toordinal() - first, row.with_feedback) for row in days]
    return curve([Series(lists, "before", "lists"), Series(acted, "after", "with feedback")])
