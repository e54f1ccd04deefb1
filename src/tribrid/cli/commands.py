"""Every command, in the order in which `tribrid --help` lists them."""

from __future__ import annotations

from collections.abc import Callable

import typer

from tribrid.cli.backups import backup, restore
from tribrid.cli.command import command
from tribrid.cli.content import corpora, index, judgments
from tribrid.cli.demo import demo
from tribrid.cli.erase import erase
from tribrid.cli.evalset import evalset
from tribrid.cli.evaluations import evaluations
from tribrid.cli.experiment import experiment
from tribrid.cli.importing import import_
from tribrid.cli.judging import judge
from tribrid.cli.keys import keys
from tribrid.cli.learning import evaluate, mine, train
from tribrid.cli.logs import logs
from tribrid.cli.models import models, promote, rollback
from tribrid.cli.operating import doctor, mcp, serve, worker
from tribrid.cli.pulling import pull
from tribrid.cli.runs import runs
from tribrid.cli.searching import feedback, search
from tribrid.cli.settings import config
from tribrid.cli.triplets import readiness, review, triplets

SET_UP, SEARCH, LEARN, LOOK = "Set up", "Search and log", "Learn", "Look after"

_COMMANDS: tuple[tuple[str, str, Callable[..., None]], ...] = (
    ("demo", SET_UP, demo),
    ("serve", SET_UP, serve),
    ("worker", SET_UP, worker),
    ("mcp", SET_UP, mcp),
    ("index", SET_UP, index),
    ("pull", SET_UP, pull),
    ("corpora", SET_UP, corpora),
    ("search", SEARCH, search),
    ("feedback", SEARCH, feedback),
    ("import", SEARCH, import_),
    ("judgments", LEARN, judgments),
    ("evalset", LEARN, evalset),
    ("readiness", LEARN, readiness),
    ("judge", LEARN, judge),
    ("mine", LEARN, mine),
    ("triplets", LEARN, triplets),
    ("review", LEARN, review),
    ("train", LEARN, train),
    ("evaluate", LEARN, evaluate),
    ("experiment", LEARN, experiment),
    ("promote", LEARN, promote),
    ("rollback", LEARN, rollback),
    ("runs", LOOK, runs),
    ("evaluations", LOOK, evaluations),
    ("models", LOOK, models),
    ("erase", LOOK, erase),
    ("config", LOOK, config),
    ("keys", LOOK, keys),
    ("logs", LOOK, logs),
    ("backup", LOOK, backup),
    ("restore", LOOK, restore),
    ("doctor", LOOK, doctor),
)

NAMES = tuple(name for name, _, _ in _COMMANDS)


def declare(app: typer.Typer) -> None:
    """Add every command to the program."""
    for name, panel, function in _COMMANDS:
        command(app, name, panel)(function)
