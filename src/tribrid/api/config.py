"""Settings, globally and of a corpus: what holds, where it came from, and what is to differ."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body

from tribrid.answers.settings import AllSettings
from tribrid.api.answers import Json
from tribrid.api.facade import Facade
from tribrid.api.limits import JsonRoute

router = APIRouter(tags=["config"], route_class=JsonRoute)

Overrides = Annotated[
    dict[str, dict[str, Any] | None],
    Body(
        description="What is to differ, by section; null takes an override, or a section's, back.",
        examples=[{"reranking": {"reranker_mode": "none"}, "training": {"epochs": None}}],
    ),
]


@router.get("/config", summary="The settings of all corpora", response_model=AllSettings)
def config(tribrid: Facade) -> Json:
    """Each with its value, default and origin: environment, global or default."""
    return Json(tribrid.settings())


@router.patch("/config", summary="Change settings of all corpora", response_model=AllSettings)
def patch(overrides: Overrides, tribrid: Facade) -> Json:
    """Only what is named changes. A corpus that has its own value keeps it."""
    return Json(tribrid.patch_settings(overrides))


@router.get("/corpora/{corpus_id}/config", summary="The settings of a corpus", response_model=AllSettings)
def corpus_config(corpus_id: str, tribrid: Facade) -> Json:
    """Each with its value, default and origin: corpus, environment, global or default."""
    return Json(tribrid.corpus(corpus_id).settings())


@router.patch("/corpora/{corpus_id}/config", summary="Change settings of a corpus", response_model=AllSettings)
def patch_corpus(corpus_id: str, overrides: Overrides, tribrid: Facade) -> Json:
    """Only what is named changes, and only for this corpus."""
    return Json(tribrid.corpus(corpus_id).patch_settings(overrides))
