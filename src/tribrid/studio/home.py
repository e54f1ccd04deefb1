"""Home: every corpus, and how far the loop of each has come."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime

from fastapi import APIRouter
from starlette.responses import Response

from tribrid.api.forms import Posted
from tribrid.app.corpus import Corpus
from tribrid.errors import InvalidInput, NoTriplets
from tribrid.studio.overtime import over_time
from tribrid.studio.steps import COUNTED, Standing, action, steps
from tribrid.studio.visit import Here, lead

router = APIRouter()


@router.get("/")
@router.get("/studio/")
def home(visit: Here) -> Response:
    """Every corpus that the visitor may see."""
    found = visit.tribrid.corpora() if visit.may("search", "train") else []
    rows = []
    for corpus in found:
        standing = _standing(corpus) if visit.may("train") else None
        rows.append((corpus.describe(), standing and steps(standing), standing and action(standing)))
    return visit.page("home.html", rows=rows)


@router.post("/studio/corpora")
def create(visit: Here, form: Posted) -> Response:
    """A new corpus."""
    made = visit.tribrid.create_corpus(form.text("corpus_id"), form.text("name"))
    return lead("c", made.corpus_id, done="created")


@router.get("/studio/c/{corpus_id}")
def corpus(visit: Here, corpus_id: str) -> Response:
    """One corpus: the state of its loop, and what to do next."""
    opened = visit.tribrid.corpus(corpus_id)
    facts = opened.describe()
    if not visit.may("train"):
        return visit.page("corpus.html", corpus=corpus_id, here="loop", facts=facts, steps=None, standing=None)
    standing = _standing(opened)
    return visit.page(
        "corpus.html",
        corpus=corpus_id,
        here="loop",
        facts=facts,
        standing=standing,
        steps=steps(standing),
        action=action(standing),
        status=opened.status(),
        readiness=opened.readiness() if facts.documents else None,
        over=over_time(opened.logs.days(), datetime.now(UTC).date()),
    )


@router.post("/studio/c/{corpus_id}/delete")
def delete(visit: Here, corpus_id: str, form: Posted) -> Response:
    """Delete a corpus; its name is typed again, so that nobody does it by accident."""
    if form.text("confirm") != corpus_id:
        raise InvalidInput(f"Type the corpus's id, {corpus_id}, to delete it with all that belongs to it.")
    visit.tribrid.corpus(corpus_id).delete()
    return lead(done="deleted")


def _standing(corpus: Corpus) -> Standing:
    mined = None
    with suppress(NoTriplets):
        mined = corpus.triplets(limit=1)
    return Standing(
        facts=corpus.describe(),
        stats=corpus.logs.stats(),
        mined=mined,
        dataset=next((version for version in corpus.eval_dataset.versions() if version.current), None),
        models=corpus.models(),
        evaluations=corpus.evaluations(COUNTED + 1),
        jobs=corpus.jobs(),
    )
