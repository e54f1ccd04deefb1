"""Settings: a form for each section, made from the schema, with bounds and where each value is from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import JsonValue
from starlette.responses import Response

from tribrid.answers.settings import AllSettings
from tribrid.api.forms import Form, Posted
from tribrid.config import of_server
from tribrid.errors import UnknownSetting
from tribrid.studio.fields import changed, fields
from tribrid.studio.visit import Here, Visit, lead

router = APIRouter()
UNSET = "unset"
Section = Annotated[str, Query(max_length=100, description="The one that is open.")]


@router.get("/studio/settings")
def everywhere(visit: Here, section: Section = "") -> Response:
    """What holds where no corpus says otherwise."""
    return _page(visit, visit.tribrid.settings(), None, section)


@router.post("/studio/settings")
def save_everywhere(visit: Here, form: Posted) -> Response:
    """Keep what was changed in one section, for all corpora."""
    overrides = _overrides(visit.tribrid.settings(), form)
    visit.tribrid.patch_settings(overrides)
    return lead("settings", section=form.text("section"), done="saved", fragment=form.text("section"))


@router.get("/studio/c/{corpus_id}/settings")
def of_corpus(visit: Here, corpus_id: str, section: Section = "") -> Response:
    """What holds for a corpus."""
    return _page(visit, visit.tribrid.corpus(corpus_id).settings(), corpus_id, section)


@router.post("/studio/c/{corpus_id}/settings")
def save_of_corpus(visit: Here, corpus_id: str, form: Posted) -> Response:
    """Keep what was changed in one section, for this corpus alone."""
    corpus = visit.tribrid.corpus(corpus_id)
    corpus.patch_settings(_overrides(corpus.settings(), form))
    section = form.text("section")
    return lead("c", corpus_id, "settings", section=section, done="saved", fragment=section)


def _page(visit: Visit, found: AllSettings, corpus_id: str | None, section: str) -> Response:
    own = found.settings
    if corpus_id:  # without what a corpus has no value of its own of
        own = {
            section: {n: of for n, of in all_of.items() if not of_server({section: [n]})}
            for section, all_of in own.items()
        }
    return visit.page(
        "settings.html",
        corpus=corpus_id,
        here="settings" if corpus_id else "all-settings",
        sections={name: fields(name, of) for name, of in own.items() if of},
        opened=section,
        own="corpus" if corpus_id else "global",
        address=f"/studio/c/{corpus_id}/settings" if corpus_id else "/studio/settings",
    )


def _overrides(found: AllSettings, form: Form) -> Mapping[str, Mapping[str, JsonValue]]:
    """What of the section's form differs from what holds, and what is to go back to what holds without it."""
    section = form.text("section")
    if section not in found.settings:
        raise UnknownSetting(f"There is no section {section!r} of settings.", setting=section)
    given = {name: form.text(name) for name in form.fields}
    taken_back: dict[str, JsonValue] = {name: None for name in form.texts(UNSET) if name in found.settings[section]}
    return {section: {**changed(fields(section, found.settings[section]), given), **taken_back}}
