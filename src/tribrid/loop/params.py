"""What a job was asked to do differently from the settings, read from what is stored with it.

A training has the settings of its section and nothing else, so it needs no type here.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from tribrid.cloud.clouds import ServiceArm
from tribrid.types import Source


class MineParams(BaseModel):
    """Of a mining: where to mine, none named for everywhere; all else are settings of `mining`."""

    model_config = ConfigDict(frozen=True, extra="allow")

    sources: tuple[Source, ...] | None = None

    @property
    def settings(self) -> dict[str, object]:
        """Settings of `mining`."""
        return self.model_extra or {}


class JudgeParams(BaseModel):
    """Of a judging: how many queries of each kind, and which: `people`, those that people judged; `log`, those of the
    log; None: both.
    """

    model_config = ConfigDict(frozen=True)

    queries: int = 50
    of: Literal["people", "log"] | None = None


class RunArm(BaseModel):
    """A run that was made elsewhere, by the hash under which it is stored. `restrict`: only its order counts."""

    model_config = ConfigDict(frozen=True)

    name: str
    kind: Literal["run"] = "run"
    sha256: str
    tag: str | None = None
    restrict: bool


class ModelArm(BaseModel):
    """Another version that was trained for the corpus."""

    model_config = ConfigDict(frozen=True, protected_namespaces=())

    name: str
    kind: Literal["model"] = "model"
    model_id: str


Arm = Annotated[RunArm | ModelArm | ServiceArm, Field(discriminator="kind")]
"""What else takes part in an evaluation."""


class EvaluateParams(BaseModel):
    """Of an evaluation: the challenger, by its id or as what a training made; what else takes part; the other corpora
    on which the change is looked at too. `served`: what serves is measured in the challenger's place, by the schedule.
    """

    model_config = ConfigDict(frozen=True, protected_namespaces=())

    model_id: str | None = None
    run_id: str | None = None
    arms: tuple[Arm, ...] = ()
    corpus_ids: tuple[str, ...] = ()
    served: bool = False
