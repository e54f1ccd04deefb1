"""What earlier measurements on an eval dataset say: how often it was looked at, how far seeds alone spread, and whether
a model has shown that it is better than what serves now.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tribrid.answers.report import Looks
from tribrid.types import ModelVersion
from tribrid.types.looks import Look


@dataclass(frozen=True, slots=True)
class Standing:
    """Whether a model may be promoted without force. `evaluation_id` is the measurement that says so, if there is one;
    `reasons` are its own, or why there is none.
    """

    proven: bool
    evaluation_id: str | None
    reasons: tuple[str, ...]


def standing(looks: Sequence[Look], model_id: str, champion_id: str | None) -> Standing:
    """What the newest comparison of the model with what serves now came to.

    Args:
        looks: on the eval dataset in force, newest first.
        champion_id: what serves now, None for no trained model.
    """
    found = newest_of(looks, model_id, champion_id)
    if found is not None:
        return Standing(found.decision == "promote", found.evaluation_id, found.reasons)
    serves = f"model {champion_id}" if champion_id else "no trained model"
    if any(look.model_id == model_id for look in looks):
        return Standing(False, None, (f"It was never compared with what serves now, {serves}.",))
    return Standing(False, None, ("It was never evaluated on the eval dataset in force.",))


def newest_of(looks: Sequence[Look], model_id: str, champion_id: str | None) -> Look | None:
    """The newest comparison of a model with a champion, of looks that are newest first; None if there is none."""
    same = (look for look in looks if look.model_id == model_id and look.champion_id == champion_id)
    return next(same, None)


def looked(looks: Sequence[Look], model_id: str | None) -> Looks:
    """The looks at a dataset, with the one that is about to be taken at this model."""
    models = {look.model_id for look in looks if look.model_id is not None}
    return Looks(count=len(looks) + 1, models=len(models | ({model_id} if model_id is not None else set())))


def seed_values(
    looks: Sequence[Look], model: ModelVersion, others: Sequence[ModelVersion], candidates: str, key: str
) -> list[float]:
    """The measure of every other model that differs from this one in its seed alone, on the same candidates; the
    newest where one was measured twice. Two models of one seed count once: they are the same training.

    Args:
        looks: on one eval dataset, newest first.
        candidates: hash of the frozen candidates.
        key: report key of the measure.
    """
    alike = {other.model_id: _seed(other) for other in others if _recipe(other) == _recipe(model)}
    values: dict[object, float] = {}
    for look in looks:
        seed = alike.get(look.model_id or "")
        if seed is not None and seed != _seed(model) and look.candidates == candidates and key in look.after:
            values.setdefault(seed, look.after[key])
    return list(values.values())


def _seed(model: ModelVersion) -> object:
    return (model.manifest.get("config") or {}).get("seed")


def _recipe(model: ModelVersion) -> tuple[object, ...]:
    """All that decides a training but its seed. A manifest that names no data is like no other."""
    data = (model.manifest.get("data") or {}).get("sha256")
    settings = {name: value for name, value in (model.manifest.get("config") or {}).items() if name != "seed"}
    return (data or model.model_id, model.manifest.get("base"), settings, model.manifest.get("encoder"))
