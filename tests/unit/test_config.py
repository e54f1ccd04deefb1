"""Settings: which value is in force and why, what is refused, and what a child process is told."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from tribrid.config import (
    Config,
    Environment,
    check_overrides,
    child_environment,
    of_server,
    read_environment,
    resolve,
    with_params,
)
from tribrid.errors import InvalidInput, UnknownSetting


def epochs(**layers: int) -> tuple[int, str]:
    """training.epochs as resolved from the layers that set it, and where it came from."""
    config, origins = resolve(**{name: {"training": {"epochs": value}} for name, value in layers.items()})
    return config.training.epochs, origins["training"]["epochs"]


def test_nothing_set_is_the_default() -> None:
    assert epochs() == (Config().training.epochs, "default")


def test_the_environment_beats_the_default() -> None:
    assert epochs(environment=7) == (7, "environment")


def test_the_stored_setting_beats_the_environment() -> None:
    assert epochs(environment=7, stored=8) == (8, "global")


def test_the_corpus_beats_the_stored_setting() -> None:
    assert epochs(stored=8, corpus=9) == (9, "corpus")


def test_the_corpus_beats_all() -> None:
    assert epochs(environment=7, stored=8, corpus=9) == (9, "corpus")


def test_a_layer_hides_only_what_it_sets() -> None:
    config, origins = resolve(stored={"training": {"epochs": 3}}, corpus={"training": {"seed": 5}})
    assert (config.training.epochs, config.training.seed) == (3, 5)
    assert (origins["training"]["epochs"], origins["training"]["seed"]) == ("global", "corpus")
    assert origins["retrieval"]["rrf_k"] == "default"


def test_a_value_equal_to_the_default_is_still_chosen() -> None:
    assert epochs(corpus=Config().training.epochs) == (Config().training.epochs, "corpus")


def test_a_stored_setting_that_is_gone_is_ignored_and_one_of_the_environment_is_named() -> None:
    gone: Any = {"reranking": {"rerank_cache_passages": 10, "rerank_document_chars": 5000}}
    assert resolve(stored=gone)[0].reranking.rerank_document_chars == 5000
    assert resolve(corpus=gone)[0].reranking.rerank_document_chars == 5000
    with pytest.raises(UnknownSetting, match="rerank_cache_passages"):
        resolve(environment=gone)


def test_a_corpus_has_no_value_of_its_own_of_what_acts_on_the_server() -> None:
    """One that an older version stored is not looked at; its other settings are."""
    own: Any = {"serving": {"threads": 3}, "reranking": {"rerank_corpus": "c", "reranker_mode": "none"}}
    config, origins = resolve(stored={"serving": {"max_requests": 5}}, corpus=own)
    assert (config.serving.threads, config.serving.max_requests, config.reranking.rerank_corpus) == (None, 5, None)
    assert (origins["reranking"]["reranker_mode"], origins["serving"]["threads"]) == ("corpus", "default")
    named = {section: type(of).model_fields for section, of in Config()}
    of_them = of_server(named)
    assert {f"serving.{name}" for name in named["serving"]} < set(of_them)
    assert of_server({"training": ["epochs"], "serving": ["threads"]}) == ["serving.threads"]


@pytest.mark.parametrize(
    ("overrides", "named"),
    [({"trainning": {}}, "trainning"), ({"training": {"epoch": 1}}, "training.epoch")],
)
def test_an_unknown_setting_is_named(overrides: dict[str, Any], named: str) -> None:
    with pytest.raises(UnknownSetting, match=named) as caught:
        check_overrides(overrides)
    assert caught.value.facts["setting"] == named


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("learning_rate", math.nan),
        ("learning_rate", math.inf),
        ("learning_rate", -math.inf),
        ("learning_rate", 0.0),
        ("warmup_ratio", 1.0),
        ("epochs", 0),
        ("epochs", 51),
        ("epochs", 2.5),
        ("epochs", None),
        ("epochs", "many"),
        ("epochs", [2]),
        ("epochs", True),
        ("learning_rate", True),
        ("seed", 2**31),
        ("base_model", "x" * 1001),
    ],
)
def test_a_value_out_of_bounds_is_refused_by_name(field: str, value: Any) -> None:
    with pytest.raises(InvalidInput, match=rf"training\.{field}"):
        check_overrides({"training": {field: value}})
    with pytest.raises(InvalidInput, match=rf"training\.{field}"):
        with_params(Config(), "training", {field: value})


def test_a_section_must_be_an_object() -> None:
    bad: Any = {"training": 3}
    with pytest.raises(InvalidInput, match="training"):
        check_overrides(bad)


def test_with_params_changes_one_section_only() -> None:
    config = Config()
    changed = with_params(config, "training", {"epochs": 9})
    assert changed.training.epochs == 9
    assert changed.model_copy(update={"training": config.training}) == config


def test_with_params_names_an_unknown_one() -> None:
    with pytest.raises(UnknownSetting, match=r"training\.epoks"):
        with_params(Config(), "training", {"epoks": 1})


def test_every_setting_says_what_it_means_and_numbers_have_bounds() -> None:
    for section in Config.model_fields:
        for name, schema in type(getattr(Config(), section)).model_json_schema()["properties"].items():
            assert schema.get("description"), f"{section}.{name}"
            if schema.get("type") in ("integer", "number"):
                assert schema.keys() & {"minimum", "exclusiveMinimum"}, f"{section}.{name}"
                assert schema.keys() & {"maximum", "exclusiveMaximum"}, f"{section}.{name}"


def test_a_user_without_a_home_names_a_data_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody() -> Path:  # as pathlib does it for a user id that no account has
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", nobody)
    assert read_environment({"TRIBRID_DATA_DIR": "/data"}).data_dir == Path("/data")
    with pytest.raises(InvalidInput, match="TRIBRID_DATA_DIR"):
        read_environment({})


def test_the_environment_is_read() -> None:
    found = read_environment(
        {
            "TRIBRID_DATA_DIR": "/data",
            "TRIBRID_PORT": "81",
            "TRIBRID_TRAINING__EPOCHS": "4",
            "TRIBRID_TRAINING__CROSS_ENCODER": "false",
            "COHERE_API_KEY": "secret",
            "PATH": "/bin",
        }
    )
    assert (found.data_dir, found.port) == (Path("/data"), 81)
    assert found.overrides == {"training": {"epochs": 4, "cross_encoder": False}}
    assert found.cloud_keys == {"cohere": "secret"}
    assert "secret" not in repr(found)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("TRIBRID_PORT", "http"),
        ("TRIBRID_API_KEY", " "),
        ("TRIBRID_PORT", "65536"),
        ("TRIBRID_TRAINING__EPOCHS", "none"),
        ("TRIBRID_TRAINING__EPOKS", "1"),
        ("TRIBRID_NOSUCH__EPOCHS", "1"),
    ],
)
def test_a_wrong_variable_is_named(variable: str, value: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        read_environment({variable: value})
    assert caught.value.detail.startswith(variable.removesuffix("__EPOCHS") if "NOSUCH" in variable else variable)


def test_a_child_reads_what_its_parent_has() -> None:
    given = Environment.model_validate(
        {
            "data_dir": "/d",
            "database_url": "sqlite:///x",
            "models_dir": "/m",
            "overrides": {
                "training": {"epochs": 3, "cross_encoder": False},
                "reranking": {"reranker_local_model": None},
            },
        }
    )
    inherited = {"PATH": "/bin", "TRIBRID_TRAINING__SEED": "99", "TRIBRID_MODELS_FILE": "/other.json"}
    child = child_environment(given, inherited)
    assert child["PATH"] == "/bin"
    read = read_environment(child)
    assert (read.data_dir, read.database_url, read.models_dir) == (given.data_dir, given.database_url, given.models_dir)
    assert read.models_file is None
    assert resolve(environment=read.overrides)[0] == resolve(environment=given.overrides)[0]


def test_a_parent_without_a_database_of_its_own_does_not_hand_on_another() -> None:
    child = child_environment(read_environment({}), {"TRIBRID_DATABASE_URL": "postgresql://elsewhere"})
    assert read_environment(child).database_url is None


def test_a_child_has_its_parents_keys_and_no_others() -> None:
    given = read_environment({"TRIBRID_GENERATION_API_KEY": "mine", "TRIBRID_GENERATION__BASE_URL": "http://h:1/v1"})
    assert "mine" not in repr(given)
    child = child_environment(given, {"OPENAI_API_KEY": "somebody else's"})
    read = read_environment(child)
    assert read.cloud_keys == {"generation": "mine"}
    assert read.overrides["generation"]["base_url"] == "http://h:1/v1"
