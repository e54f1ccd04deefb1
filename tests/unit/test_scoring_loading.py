"""Loading once: what is slow holds up nobody else, and what is broken is tried again later."""

from __future__ import annotations

import threading
import time

import pytest

from tribrid.encoders.loading import LoadOnce
from tribrid.errors import MissingExtra, ModelUnavailable

TIMEOUT_S = 10


def test_a_value_is_loaded_once_however_many_ask() -> None:
    loads: list[str] = []

    def load(key: str) -> object:
        loads.append(key)
        time.sleep(0.05)
        return object()

    loader = LoadOnce(load, kept=8)
    found: list[object] = []
    threads = [threading.Thread(target=lambda: found.append(loader.get("a"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(TIMEOUT_S)
    assert (len(loads), len(found), len(set(found))) == (1, 8, 1)


def test_a_slow_load_does_not_hold_up_another_key() -> None:
    begun, release = threading.Event(), threading.Event()

    def load(key: str) -> str:
        if key == "slow":
            begun.set()
            assert release.wait(TIMEOUT_S)
        return key.upper()

    loader = LoadOnce(load, kept=8)
    slow = threading.Thread(target=loader.get, args=("slow",))
    slow.start()
    assert begun.wait(TIMEOUT_S)
    assert loader.get("quick") == "QUICK"
    assert slow.is_alive()
    release.set()
    slow.join(TIMEOUT_S)
    assert loader.get("slow") == "SLOW"


def test_a_failure_stands_for_a_while_and_is_then_forgotten() -> None:
    tries: list[str] = []

    def load(key: str) -> str:
        tries.append(key)
        if len(tries) == 1:
            raise ModelUnavailable("It is broken.", model=key)
        return "whole"

    loader = LoadOnce(load, kept=8, retry_s=0.2)
    caught = []
    for _ in range(3):
        with pytest.raises(ModelUnavailable, match=r"It is broken\.") as error:
            loader.get("a")
        caught.append(error.value)
    assert len(tries) == 1
    assert caught[1] is not caught[2]
    assert caught[2].facts == {"model": "a"}
    time.sleep(0.25)
    assert loader.get("a") == "whole"


def test_a_failure_keeps_its_kind() -> None:
    def load(_key: str) -> str:
        raise MissingExtra("torch", "train", "This")

    loader = LoadOnce(load, kept=8)
    for _ in range(2):
        with pytest.raises(MissingExtra, match="pip install"):
            loader.get("a")


def test_the_oldest_goes_first() -> None:
    loads: list[str] = []

    def load(key: str) -> str:
        loads.append(key)
        return key

    loader = LoadOnce(load, kept=2)
    for key in ("a", "b", "c", "c", "b", "a"):
        loader.get(key)
    assert loads == ["a", "b", "c", "a"]


def test_what_is_in_use_stays() -> None:
    loads: list[str] = []

    def load(key: str) -> str:
        loads.append(key)
        return key.upper()

    loader = LoadOnce(load, kept=2)
    for key in ("often", "a", "often", "b", "often", "c", "often"):
        assert loader.get(key) == key.upper()
    assert loads == ["often", "a", "b", "c"]
