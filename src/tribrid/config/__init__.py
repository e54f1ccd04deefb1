"""The settings in force (what there is stands in sections.py), and where each came from. The only reader of the
environment.

A value comes from the first of: the corpus's override, the global override (both stored, sparse), the
environment (`TRIBRID_RERANKING__RERANKER_MODE=none`), the default written here. Nothing is ever copied
down, so a better default reaches everyone who did not choose otherwise.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, MutableMapping
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tribrid.config.asked import GenerationConfig, JudgingConfig
from tribrid.config.features import FeaturesConfig
from tribrid.config.fields import Section
from tribrid.config.reranking import RerankingConfig
from tribrid.config.sections import (
    ComputeConfig,
    EvaluationConfig,
    GateConfig,
    IndexingConfig,
    LogsConfig,
    MiningConfig,
    RetrievalConfig,
    ServingConfig,
    TrainingConfig,
)
from tribrid.errors import InvalidInput, UnknownSetting

ENV_PREFIX = "TRIBRID_"
Origin = Literal["corpus", "global", "environment", "default"]


class Config(Section):
    reranking: RerankingConfig = RerankingConfig()  # type: ignore[call-arg]
    indexing: IndexingConfig = IndexingConfig()  # type: ignore[call-arg]
    retrieval: RetrievalConfig = RetrievalConfig()  # type: ignore[call-arg]
    mining: MiningConfig = MiningConfig()  # type: ignore[call-arg]
    generation: GenerationConfig = GenerationConfig()  # type: ignore[call-arg]
    judging: JudgingConfig = JudgingConfig()  # type: ignore[call-arg]
    features: FeaturesConfig = FeaturesConfig()  # type: ignore[call-arg]
    training: TrainingConfig = TrainingConfig()  # type: ignore[call-arg]
    evaluation: EvaluationConfig = EvaluationConfig()  # type: ignore[call-arg]
    logs: LogsConfig = LogsConfig()  # type: ignore[call-arg]
    serving: ServingConfig = ServingConfig()  # type: ignore[call-arg]
    gate: GateConfig = GateConfig()  # type: ignore[call-arg]
    compute: ComputeConfig = ComputeConfig()  # type: ignore[call-arg]


_EXACT = frozenset({int, float, bool})
_SECTIONS = {name: type(section).model_fields for name, section in Config()}
_RETIRED = frozenset({("reranking", "rerank_cache_passages")})
"""Settings that an older version stored and that are gone."""
_OF_SERVER = frozenset(
    {("reranking", "rerank_corpus"), ("reranking", "rerank_cache_mb")}
    | {(section, name) for section in ("serving", "compute") for name in _SECTIONS[section]}
)
"""Settings that act on the whole server: no corpus has a value of its own."""
_OF_ENVIRONMENT = frozenset({("compute", "ray_address")})
"""Settings that only who starts the process may choose: whoever answers at this address runs code here."""
Overrides = Mapping[str, Mapping[str, object]]
"""Sparse settings by section: {"training": {"epochs": 3}}."""
Checked = dict[str, dict[str, bool | int | float | str | list[str] | None]]
"""The same once it is validated, as JSON values."""


def _invalid(error: ValidationError) -> InvalidInput:
    """The first fault of a validation, in words, as the right branch of the error tree."""
    fault = error.errors(include_url=False)[0]
    name = ".".join(str(part) for part in fault["loc"])
    if fault["type"] == "extra_forbidden":
        return UnknownSetting(
            f"There is no setting {name!r}. GET /config lists every setting with its default and bounds.", setting=name
        )
    said = fault["msg"].removeprefix("Value error, ")  # pydantic's own words before those of a validator
    return InvalidInput(f"{name}: {said}", setting=name)


def type_fault(annotation: Any, value: object, *, text: bool = True) -> str | None:
    """Why a value is not of a number's or a switch's type, though Python would take it for one; None if it is.

    Args:
        annotation: of the field.
        text: whether a number may be written as text, as it is in the environment and on a command line.
    """
    plain = _plain(annotation)
    if not plain & _EXACT:
        return None
    wanted = "a number" if float in plain else "an integer" if int in plain else "true or false"
    if isinstance(value, bool) and bool not in plain:
        return f"Input should be {wanted}, not true or false"
    if isinstance(value, str) and not text and plain <= {*_EXACT, type(None)}:
        return f"Input should be {wanted}, not text: leave out the quotation marks"
    return None


def _plain(annotation: Any) -> frozenset[Any]:
    """The classes that a field's annotation is made of; `object` for what is none, such as a list of something."""
    kind, parts = get_origin(annotation), get_args(annotation)
    if kind is Annotated:
        return _plain(parts[0])
    if kind in (Union, UnionType):
        return frozenset().union(*map(_plain, parts))
    return frozenset((annotation,)) if isinstance(annotation, type) else frozenset((object,))


def _check_types(section: str, fields: Mapping[str, object]) -> None:
    """Refuse a truth value that would be taken for the number 0 or 1.

    Raises:
        InvalidInput: names the setting.
    """
    known = _SECTIONS.get(section, {})
    for name, value in fields.items():
        fault = type_fault(known[name].annotation, value) if name in known else None
        if fault:
            raise InvalidInput(f"{section}.{name}: {fault}", setting=f"{section}.{name}")


def check_overrides(overrides: Overrides) -> Checked:
    """The overrides, validated against defaults and normalised to JSON values.

    Raises:
        UnknownSetting: a section or a field does not exist; names it.
        InvalidInput: a value is of the wrong type or out of bounds.
    """
    for section, fields in overrides.items():
        if isinstance(fields, Mapping):  # else the models say what is wrong with it
            _check_types(section, fields)
    try:
        config = Config.model_validate(overrides)
    except ValidationError as error:
        raise _invalid(error) from None
    dumped = config.model_dump(mode="json")
    return {section: {name: dumped[section][name] for name in fields} for section, fields in overrides.items()}


def of_server(overrides: Mapping[str, Iterable[str]]) -> list[str]:
    """Of these, the settings that no corpus has a value of its own of."""
    return [
        f"{section}.{name}" for section, fields in overrides.items() for name in fields if (section, name) in _OF_SERVER
    ]


def of_environment(overrides: Mapping[str, Iterable[str]]) -> list[str]:
    """Of these, the settings that only the environment gives."""
    names = [(section, name) for section, fields in overrides.items() for name in fields]
    return [f"{section}.{name}" for section, name in names if (section, name) in _OF_ENVIRONMENT]


def _without(stored: Overrides, names: frozenset[tuple[str, str]]) -> Overrides:
    """What was stored, less settings that are gone, or that corpora no longer have: such a folder still opens."""
    return {
        section: {name: value for name, value in fields.items() if (section, name) not in names}
        for section, fields in stored.items()
    }


def resolve(
    *, environment: Overrides | None = None, stored: Overrides | None = None, corpus: Overrides | None = None
) -> tuple[Config, dict[str, dict[str, Origin]]]:
    """The settings in force, and where each came from.

    Raises:
        UnknownSetting, InvalidInput: as check_overrides.
    """
    layers: list[tuple[Origin, Overrides]] = [
        ("environment", environment or {}),
        ("global", _without(stored or {}, _RETIRED | _OF_ENVIRONMENT)),
        ("corpus", _without(corpus or {}, _RETIRED | _OF_SERVER)),
    ]
    origins: dict[str, dict[str, Origin]] = {
        section: dict.fromkeys(type(getattr(Config(), section)).model_fields, "default")
        for section in Config.model_fields
    }
    merged: Checked = {}
    for origin, layer in layers:
        for section, fields in check_overrides(layer).items():
            merged.setdefault(section, {}).update(fields)
            origins[section].update(dict.fromkeys(fields, origin))
    return Config.model_validate(merged), origins


def with_params(config: Config, section: str, params: Mapping[str, object]) -> Config:
    """The config with one call's parameters (`{"epochs": 2}`) laid over one section.

    Raises:
        UnknownSetting, InvalidInput: naming `section.field`.
    """
    _check_types(section, params)
    current = config.model_dump(mode="json")
    try:
        return Config.model_validate({**current, section: {**current[section], **params}})
    except ValidationError as error:
        raise _invalid(error) from None


class Environment(BaseModel):
    """What the process was given from outside: where data lives, where to listen, secrets by name."""

    model_config = ConfigDict(frozen=True)

    data_dir: Path
    database_url: str | None = None
    storage_url: str | None = Field(None, max_length=1000, pattern=r"^[^@?#]*$")
    host: str = "127.0.0.1"
    port: int = Field(8000, ge=1, le=65535)
    api_key: str | None = Field(None, repr=False, pattern=r"\S")
    overrides: Checked = {}
    mcp_key: str | None = Field(None, repr=False)
    cloud_keys: dict[str, str] = Field({}, repr=False)
    models_file: Path | None = None
    models_dir: Path | None = None
    cloud_urls: str = Field("", max_length=10_000, pattern=r"^[^@?#]*$")
    log_format: Literal["text", "json"] = "text"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    tracing: bool = False
    outbound_hosts: str | None = None

    def address(self, section: str, name: str) -> str | None:
        """The address that the environment gives a setting; None for none."""
        named = self.overrides.get(section, {}).get(name)
        return named if isinstance(named, str) else None


_CLOUD_KEYS = {
    "cohere": "COHERE_API_KEY",
    "voyage": "VOYAGE_API_KEY",
    "jina": "JINA_API_KEY",
    "openai": "OPENAI_API_KEY",
    "generation": "TRIBRID_GENERATION_API_KEY",
    "judging": "TRIBRID_JUDGING_API_KEY",
    "pull": "TRIBRID_PULL_KEY",
    "alerts": "TRIBRID_ALERT_KEY",
    "reranker_cloud": "TRIBRID_RERANKER_CLOUD_API_KEY",
}


_OF_PROCESS = ("cloud_urls", "log_format", "log_level", "tracing", "outbound_hosts")


def read_environment(environ: Mapping[str, str] | None = None) -> Environment:
    """Read every variable Tribrid knows: TRIBRID_DATA_DIR, TRIBRID_DATABASE_URL, TRIBRID_STORAGE_URL, TRIBRID_HOST,
    TRIBRID_PORT, TRIBRID_API_KEY, TRIBRID_MCP_KEY, TRIBRID_MODELS_FILE, TRIBRID_MODELS_DIR, TRIBRID_CLOUD_URLS,
    TRIBRID_LOG_FORMAT, TRIBRID_LOG_LEVEL, TRIBRID_TRACING, TRIBRID_OUTBOUND_HOSTS, TRIBRID_<SECTION>__<FIELD>, and the
    services' keys.

    Raises:
        InvalidInput: a variable's value does not fit; names the variable.
    """
    env = os.environ if environ is None else environ
    overrides: dict[str, dict[str, str]] = {}
    for name, value in env.items():
        section, separator, field = name.removeprefix(ENV_PREFIX).lower().partition("__")
        if name.startswith(ENV_PREFIX) and separator:
            overrides.setdefault(section, {})[field] = value
    plain = _single_values(env)
    plain["data_dir"] = _data_dir(env)
    cloud_keys = {name: env[variable] for name, variable in _CLOUD_KEYS.items() if env.get(variable)}
    try:
        checked = check_overrides(overrides)
        return Environment.model_validate({**plain, "overrides": checked, "cloud_keys": cloud_keys})
    except ValidationError as error:
        raise _of_variable(_invalid(error)) from None
    except InvalidInput as error:
        raise _of_variable(error) from None


def _single_values(env: Mapping[str, str]) -> dict[str, str]:
    """The variables of one value; an empty one is none. But an empty TRIBRID_MCP_KEY is nobody's key: who has none may
    read everything.
    """
    places = ("database_url", "storage_url", "models_file", "models_dir")
    fields = (*places, "host", "port", "api_key", "mcp_key", *_OF_PROCESS)
    given = {field: env.get(ENV_PREFIX + field.upper()) for field in fields}
    return {field: value for field, value in given.items() if value is not None and (value or field == "mcp_key")}


def _data_dir(env: Mapping[str, str]) -> str:
    if given := env.get(f"{ENV_PREFIX}DATA_DIR"):
        return given
    try:
        return str(Path.home() / ".tribrid")
    except RuntimeError:  # a container's user whom nobody made
        raise InvalidInput(
            "TRIBRID_DATA_DIR: this user has no home folder for the data. Name a folder that it may write.",
            setting="data_dir",
        ) from None


def _of_variable(error: InvalidInput) -> InvalidInput:
    """The same error, with the environment variable that is at fault in front."""
    variable = ENV_PREFIX + str(error.facts["setting"]).replace(".", "__").upper()
    return type(error)(f"{variable}: {error.detail}", **error.facts)


def keep_small_products_on_one_thread(environ: MutableMapping[str, str] | None = None) -> None:
    """Tell numpy's multiplication to stay on the thread that calls, where nobody told it otherwise; before numpy is
    imported. Ours are small and made on many threads already: to share one costs thrice its processor time.
    """
    (os.environ if environ is None else environ).setdefault("OPENBLAS_NUM_THREADS", "1")


def child_environment(environment: Environment, environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """The whole environment for a process of ours: what this one has, with `environment` instead of its settings."""
    inherited = os.environ if environ is None else environ
    child = {name: value for name, value in inherited.items() if not (name.startswith(ENV_PREFIX) and "__" in name)}
    # Threads that wait should sleep: spinning ones, OpenMP's default, starve the server next to a training.
    child.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    keep_small_products_on_one_thread(child)
    for field in ("data_dir", "database_url", "storage_url", "models_file", "models_dir", *_OF_PROCESS):
        value = getattr(environment, field)
        child[ENV_PREFIX + field.upper()] = str(value) if value else ""  # empty: not given
    for name, variable in _CLOUD_KEYS.items():
        child[variable] = environment.cloud_keys.get(name, "")
    for section, fields in environment.overrides.items():
        for name, value in fields.items():
            if value is not None:  # the default of all that may be null
                text = " ".join(value) if isinstance(value, list) else str(value)
                child[f"{ENV_PREFIX}{section.upper()}__{name.upper()}"] = text
    return child
