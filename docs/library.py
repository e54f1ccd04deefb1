"""The page of the Python library, made of its signatures and docstrings."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from functools import cached_property
from typing import Any

from pages import head

from tribrid import Reranker, Tribrid, compare
from tribrid.app.comparing import Comparison
from tribrid.app.corpus import Corpus
from tribrid.app.documents import Documents
from tribrid.app.evalsets import EvalDatasets
from tribrid.app.evaluations import Evaluations
from tribrid.app.experiments import Experiment
from tribrid.app.jobs import Jobs, Runs
from tribrid.app.judgments import Judgments
from tribrid.app.keys import Keys
from tribrid.app.logs import Logs
from tribrid.app.models import Models

CLASSES: dict[str, type] = {
    "Comparison": Comparison,
    "Reranker": Reranker,
    "Tribrid": Tribrid,
    "Corpus": Corpus,
    "Corpus.documents": Documents,
    "Corpus.judgments": Judgments,
    "Corpus.eval_dataset": EvalDatasets,
    "Corpus.logs": Logs,
    "Corpus.experiment": Experiment,
    "Tribrid.jobs": Jobs,
    "Tribrid.runs": Runs,
    "Tribrid.models": Models,
    "Tribrid.evaluations": Evaluations,
    "Tribrid.keys": Keys,
}
_SECTION = re.compile(r"^(Args|Raises|Returns|Attributes):$")
_ITEM = re.compile(r"^    (\S[^:]*): (.*)$")


def page() -> Iterator[str]:
    """What `import tribrid` has, and what hangs on it."""
    yield from head("Python library", "")
    yield (
        "`from tribrid import Tribrid, Reranker, compare`. What is returned has the fields of the [objects in "
        "answers](answers.md); what is raised is one of the [errors](errors.md). "
        "[In a notebook](../howto-notebook.md) has examples of what needs no data folder."
    )
    yield "## compare"
    yield from _described("compare", compare)
    for name, of in CLASSES.items():
        yield f"## {name}"
        yield _prose(inspect.getdoc(of) or "")
        for method, function in members(of):
            yield f"### {name}.{method}"
            yield from _described(method, function)


def members(of: type) -> Iterator[tuple[str, Any]]:
    """Public methods with words of their own, those of Tribrid's own bases too, in order of the source."""
    seen: set[str] = set()
    for base in of.__mro__:
        if not base.__module__.startswith("tribrid."):
            continue
        for name, value in vars(base).items():
            function = _function(value)
            if name in seen or name.startswith("_") or function is None or not function.__doc__:
                continue
            seen.add(name)
            yield name, function


def _function(value: object) -> Any:
    if isinstance(value, cached_property):
        return None  # a subject, which has a section of its own
    if isinstance(value, classmethod | staticmethod):
        return value.__func__
    return value if inspect.isfunction(value) else None


def _described(name: str, function: Any) -> Iterator[str]:
    signature = inspect.signature(function)
    own = [p for p in signature.parameters.values() if p.name not in ("self", "cls")]
    shown = re.sub(r"<function (\w+) at \w+>", r"\1", str(signature.replace(parameters=own)).replace("'", ""))
    yield f"```text\n{name}{shown}\n```"
    yield _prose(inspect.getdoc(function) or "")


def _prose(docstring: str) -> str:
    """A Google docstring as Markdown: its sections become lists."""
    out: list[str] = []
    for line in docstring.splitlines():
        if section := _SECTION.match(line):
            out += ["", f"{section[1]}:", ""]
        elif item := _ITEM.match(line):
            out.append(f"- `{item[1]}`: {item[2]}")
        else:
            out.append(line.strip() if line.startswith("     ") else line)
    return re.sub(r"\n{3,}", "\n\n", "\n".join(out)).strip()
