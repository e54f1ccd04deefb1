"""Settings: what is in force, where each value came from, and overrides."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from tribrid.answers.settings import AllSettings, Setting
from tribrid.cloud.allowed import check_outbound
from tribrid.config import ENV_PREFIX, Checked, Config, check_overrides, of_environment, of_server, resolve
from tribrid.errors import InvalidInput, MissingExtra, ModelNotFound
from tribrid.evaluation.measures import primary_name, report_key, reported
from tribrid.loop.experiment import ORDERS
from tribrid.store.settings import GLOBAL_SCOPE
from tribrid.workspace.data_folder import DataFolder

Overrides = Mapping[str, Mapping[str, Any] | None]
"""Section → setting → value; None takes one, or a whole section's, back."""


def settings(folder: DataFolder, corpus_id: str | None) -> AllSettings:
    """Every setting: its value, where it came from, its default and what it means.

    Raises:
        CorpusNotFound.
    """
    if corpus_id is not None:
        folder.store.corpora.get(corpus_id)
    config, origins = resolve(
        environment=folder.environment.overrides,
        stored=folder.store.settings.get(GLOBAL_SCOPE),
        corpus=folder.store.settings.get(corpus_id) if corpus_id else None,
    )
    values, defaults = config.model_dump(mode="json"), Config().model_dump(mode="json")
    found = {
        section: {
            name: Setting(
                value=_shown(section, name, value),
                origin=origins[section][name],
                default=defaults[section][name],
                description=type(getattr(config, section)).model_fields[name].description,
            )
            for name, value in fields.items()
        }
        for section, fields in values.items()
    }
    return AllSettings(corpus_id=corpus_id, settings=found)


def patch_settings(folder: DataFolder, overrides: Overrides, corpus_id: str | None) -> AllSettings:
    """Set overrides, sparse; null takes one (or a whole section's) back.

    Raises:
        CorpusNotFound, UnknownSetting, InvalidInput.
        ModelNotFound: an experiment's challenger is no model of the corpus.
    """
    if corpus_id is not None:
        folder.store.corpora.get(corpus_id)
    for section, fields in overrides.items():
        if fields is not None and not isinstance(fields, Mapping):
            raise InvalidInput(f"{section}: must be an object of settings, or null.", setting=section)
    setting = {s: {n: v for n, v in f.items() if v is not None} for s, f in overrides.items() if f is not None}
    checked = check_overrides(setting)
    _require_settable(setting, corpus_id)
    check_measures(checked)
    _check_challenger(folder, checked, corpus_id)
    check_outbound(folder.environment, checked)
    defaults = Config().model_dump(mode="json")
    removed = {s: None if f is None else {n: None for n, v in f.items() if v is None} for s, f in overrides.items()}
    for section, fields in removed.items():
        unknown = {section} - defaults.keys() or (fields or {}).keys() - defaults.get(section, {}).keys()
        if unknown:
            check_overrides({section: dict.fromkeys(fields or (), 0)})
    patch = {s: None if f is None else {**f, **checked.get(s, {})} for s, f in removed.items()}
    folder.store.settings.patch(corpus_id or GLOBAL_SCOPE, patch)
    return settings(folder, corpus_id)


def _check_challenger(folder: DataFolder, checked: Checked, corpus_id: str | None) -> None:
    """Pass if an experiment's challenger is the corpus's: a wrong one would end what runs.

    Raises:
        ModelNotFound: it is not.
    """
    named = checked.get("reranking", {}).get("experiment_challenger")
    if corpus_id is None or named is None or named in ORDERS:
        return
    if folder.store.models.get(str(named)).corpus_id != corpus_id:
        raise ModelNotFound(f"Model {named!r} is another corpus's.", model_id=named)


def _require_settable(setting: Mapping[str, Mapping[str, Any]], corpus_id: str | None) -> None:
    if given := of_environment(setting):
        variable = ENV_PREFIX + given[0].replace(".", "__").upper()
        raise InvalidInput(
            f"{given[0]}: Whoever answers there runs code here, so only who starts Tribrid says where: {variable}.",
            setting=given[0],
        )
    wide = of_server(setting) if corpus_id is not None else []
    if wide:
        raise InvalidInput(
            f"{wide[0]}: It acts on the whole server, so a corpus has no value of its own. Set it for all corpora: "
            f"PATCH /config, or `tribrid config {wide[0]}=VALUE` without a corpus.",
            setting=wide[0],
        )


_MEASURES = {("evaluation", "measures"), ("evaluation", "primary_measure"), ("gate", "guard_measures")}
"""Settings that name measures."""


def _shown(section: str, name: str, value: Any) -> Any:
    """A setting as it is told: a measure has one name, however it was spelt when it was set."""
    if (section, name) not in _MEASURES or value is None:
        return value
    with suppress(InvalidInput, MissingExtra):  # as it was set
        return report_key(value) if isinstance(value, str) else [report_key(measure) for measure in value]
    return value


def check_measures(overrides: Mapping[str, Mapping[str, Any]]) -> None:
    """Refuse a setting that names a measure which there is not.

    Raises:
        InvalidInput: names the setting and the measure.
    """
    named, gate = overrides.get("evaluation", {}), overrides.get("gate", {})
    setting = "evaluation.measures"
    try:
        reported(*named.get("measures", ()))
        setting = "evaluation.primary_measure"
        if named.get("primary_measure"):
            primary_name(named["primary_measure"])
        setting = "gate.guard_measures"
        reported(*gate.get("guard_measures", ()))
    except InvalidInput as error:
        raise InvalidInput(f"{setting}: {error.detail}", **error.facts) from None
