"""Models: every version, which one serves, where one came from; promote, go back, and take one elsewhere."""

from __future__ import annotations

import io
import zipfile
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from tribrid.answers.models import ModelRecord, TrainingQueries
from tribrid.api.forms import Posted
from tribrid.app.corpus import Corpus
from tribrid.errors import ModelNotFound, NotFound
from tribrid.studio.visit import Here, Visit, lead, link

router = APIRouter()
ROWS = 20
CARD = "README.md"
Offset = Annotated[int, Query(ge=0, le=2**31 - 1)]


@router.get("/studio/c/{corpus_id}/models")
def models(visit: Here, corpus_id: str) -> Response:
    """Every version and every promotion."""
    corpus = visit.tribrid.corpus(corpus_id)
    found = corpus.models()
    decided = {row.model_id: row for row in reversed(corpus.evaluations()) if row.model_id}
    return visit.page("models.html", corpus=corpus_id, here="models", found=found, decided=decided)


@router.post("/studio/c/{corpus_id}/models/promote")
def promote(visit: Here, corpus_id: str, form: Posted) -> Response:
    """Serve a version from now on; against the gate only by force, and with a reason."""
    visit.tribrid.corpus(corpus_id).promote(
        form.text("model_id") or None, form.text("reason"), force=form.text("force") == "yes"
    )
    return lead("c", corpus_id, "models", done="promoted")


@router.post("/studio/c/{corpus_id}/models/rollback")
def rollback(visit: Here, corpus_id: str, form: Posted) -> Response:
    """Serve what served before."""
    visit.tribrid.corpus(corpus_id).rollback(form.text("reason"))
    return lead("c", corpus_id, "models", done="rolled-back")


@router.get("/studio/c/{corpus_id}/models/{model_id}")
def model(visit: Here, corpus_id: str, model_id: str, offset: Offset = 0) -> Response:
    """One version: what it was made from, what was measured, when it served, and the queries it learned from."""
    corpus = visit.tribrid.corpus(corpus_id)
    record = _record(visit, corpus, model_id)
    names = corpus.models()
    return visit.page(
        "model.html",
        corpus=corpus_id,
        here="models",
        record=record,
        names=names,
        queries=_learned(visit, model_id, offset),
        rows=ROWS,
        to=lambda at: link("c", corpus_id, "models", model_id, offset=at) + "#queries",
    )


@router.get("/studio/c/{corpus_id}/models/{model_id}/card")
def card(visit: Here, corpus_id: str, model_id: str) -> Response:
    """What an export says of itself."""
    _record(visit, visit.tribrid.corpus(corpus_id), model_id)
    with TemporaryDirectory(dir=visit.tribrid.environment.data_dir, prefix="export-") as folder:
        visit.tribrid.models.export(model_id, Path(folder) / "model")
        text = (Path(folder) / "model" / CARD).read_text("utf-8")
    return visit.page("card.html", corpus=corpus_id, here="models", model_id=model_id, text=text)


@router.get("/studio/c/{corpus_id}/models/{model_id}/export.zip")
def export(visit: Here, corpus_id: str, model_id: str) -> Response:
    """The version as a folder for other libraries, with its card, zipped."""
    _record(visit, visit.tribrid.corpus(corpus_id), model_id)
    out = io.BytesIO()
    with TemporaryDirectory(dir=visit.tribrid.environment.data_dir, prefix="export-") as folder:
        root = Path(folder) / "model"
        made = visit.tribrid.models.export(model_id, root)
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            for name in made.files:
                archive.write(root / name, name)
    name = f'attachment; filename="{corpus_id}-{model_id[:12]}.zip"'
    return Response(out.getvalue(), media_type="application/zip", headers={"Content-Disposition": name})


def _record(visit: Visit, corpus: Corpus, model_id: str) -> ModelRecord:
    found = visit.tribrid.models.get(model_id)
    if found.corpus_id != corpus.corpus_id:
        raise ModelNotFound(f"There is no model {model_id!r} in {corpus.corpus_id!r}.", model_id=model_id)
    return found


def _learned(visit: Visit, model_id: str, offset: int) -> TrainingQueries | None:
    """What it learned from; None where that is gone."""
    with suppress(NotFound):
        return visit.tribrid.models.training_queries(model_id, offset=offset, limit=ROWS)
    return None
