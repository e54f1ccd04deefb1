"""Every code block of the README and the guides, run as a reader would: page by page, from top to bottom.

A page has a folder of its own with a copy of `docs/`, a data folder and a port of its own. Its bash blocks share their
variables, as in one terminal; a block that ends with `tribrid serve` goes on in a second one until the page is done.
What cannot run is marked `<!-- not run: reason -->`, and counted. A page that goes on from sections of other pages has
a marker, `<!-- after: guide-first-loop.md#index -->`: their blocks run first, so that no example is written twice.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    ROOT / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "docs" / "decisions").glob("*.md")),
]
# The benchmarks' commands take from minutes to hours; the reference is checked in test_reference.py.
PAGES = [page for page in PAGES if page.name != "benchmarks.md"]
INERT = {"text", "json", "ini", "mermaid"}
NOT_RUN = {
    "README.md": 3, "deploying.md": 2, "howto-filters.md": 1, "howto-frameworks.md": 2, "howto-judges.md": 2,
    "howto-promote-export.md": 1, "howto-ray.md": 2, "howto-rerank.md": 1,
    "howto-several-machines.md": 1, "studio.md": 2,
}  # fmt: skip
"""Blocks a page may leave out. A number that grows is a promise that nobody keeps: say why in the review."""
PROGRAMS = ("curl", "jq")
SERVE = "tribrid serve"
DOCUMENTED = "http://localhost:8000"
BLOCK_S, READY_S, STOP_S = 240, 120, 30
# What the tests are short of is time: the calls are the docs' own, the work behind them is less. Training as a whole
# has tests of its own.
FAST = {
    "TRIBRID_TRAINING__CROSS_ENCODER": "false",
    "TRIBRID_TRAINING__FOLDS": "2",
    "TRIBRID_EVALUATION__RESAMPLES": "200",
    "OMP_NUM_THREADS": "1",
}
LONG_PAGES = ("routes.md", "commands.md", "__pycache__")
"""Left out of the folder that a reader indexes: they would be two thirds of it."""

_FENCE = re.compile(
    r"^(?:<!-- not run: (?P<reason>[^\n]+) -->\n)?```(?P<language>\w*)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL
)
_AFTER = re.compile(r"^<!-- after: (?P<sections>[^\n]+) -->$", re.MULTILINE)
_HEADING = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """`section`: the anchor of the heading it stands under. `reason`: why it is not run, if it is not."""

    where: str
    section: str
    language: str
    code: str
    reason: str | None


def blocks(page: Path) -> list[Block]:
    text = page.read_text("utf-8")
    name = page.relative_to(ROOT) if page.is_relative_to(ROOT) else page.name
    return [
        Block(
            f"{name}:{text.count(chr(10), 0, found.start('code')) + 1}",
            section_of(text[: found.start()]),
            found["language"],
            found["code"],
            found["reason"],
        )
        for found in _FENCE.finditer(text)
    ]


def section_of(before: str) -> str:
    """The anchor of the last heading in the text before a block, as GitHub makes it."""
    headings = _HEADING.findall(_FENCE.sub("", before))
    return re.sub(r"[^\w\- ]", "", headings[-1].strip().lower()).replace(" ", "-") if headings else ""


def runnable(page: Path) -> list[Block]:
    return [block for block in blocks(page) if block.language not in INERT and block.reason is None]


def goes_on_from(page: Path) -> list[str]:
    """The sections of other pages, `page.md#anchor`, that this page says it goes on from."""
    marked = _AFTER.search(page.read_text("utf-8"))
    return marked["sections"].split(", ") if marked else []


def blocks_of(page: Path, link: str) -> list[Block]:
    """The blocks under the heading that the link leads to."""
    name, _, anchor = link.partition("#")
    return [block for block in runnable(page.parent / name) if block.section == anchor]


def to_run(page: Path) -> list[Block]:
    """What a reader of the page runs: first what it goes on from, then its own blocks."""
    return [block for link in goes_on_from(page) for block in blocks_of(page, link)] + runnable(page)


def needed(page: Path) -> list[str]:
    """The programs that the page's blocks run, beside bash and Python."""
    found = to_run(page)
    typed = ["node"] if any(block.language == "typescript" for block in found) else []
    return typed + [name for name in PROGRAMS if any(re.search(rf"\b{name}\b", block.code) for block in found)]


@dataclass(frozen=True)
class Reader:
    """Somebody who follows a page: where they are, and what their terminal knows."""

    folder: Path
    port: int
    environment: Mapping[str, str]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def here(self, code: str) -> str:
        return code.replace(DOCUMENTED, self.url)

    def run(self, command: list[str], block: Block, code: str = "") -> None:
        """Run a program on a block.

        Raises:
            Failed: it did not end well.
        """
        try:
            done = subprocess.run(
                command, input=code, cwd=self.folder, env=dict(self.environment), capture_output=True, text=True,
                timeout=BLOCK_S, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            pytest.fail(f"{block.where} did not end in {BLOCK_S} s:\n{block.code}", pytrace=False)
        if done.returncode != 0:
            told = f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
            pytest.fail(f"{block.where} ended with {done.returncode}:\n{block.code}\n{told}", pytrace=False)

    @property
    def variables(self) -> Path:
        """What the terminal's variables are, as bash reads them back."""
        return self.folder / ".variables"


def run_block(reader: Reader, block: Block, page: ExitStack) -> None:
    if block.language == "bash":
        lines = block.code.rstrip().splitlines()
        serves = lines[-1].strip() == SERVE
        run_bash(reader, block, "\n".join(lines[:-1] if serves else lines))
        if serves:
            page.enter_context(serving(reader, block))
    elif block.language == "python":
        reader.run([sys.executable, "-"], block, reader.here(block.code))
    else:
        reader.run(["node", "--input-type=module", "-"], block, javascript(reader, block.code))


def run_bash(reader: Reader, block: Block, code: str) -> None:
    """Run it in the page's terminal: variables set in one block are there in the next."""
    kept = shlex.quote(str(reader.variables))
    before = f"set -euo pipefail; set -a; [ ! -f {kept} ] || . {kept}\n"
    reader.run(["bash"], block, f"{before}{reader.here(code)}\nexport -p > {kept}\n")


@contextmanager
def serving(reader: Reader, block: Block) -> Iterator[None]:
    """`tribrid serve` in a second terminal, once it is ready."""
    start = f"[ ! -f {shlex.quote(str(reader.variables))} ] || . {shlex.quote(str(reader.variables))}; exec {SERVE}"
    log = reader.folder / "serve.log"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            ["bash", "-c", start], cwd=reader.folder, env=dict(reader.environment), stdout=stream, stderr=stream
        )
    try:
        wait_until_up(reader, block, process, log)
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            pytest.fail(f"{block.where}: the server did not stop in {STOP_S} s", pytrace=False)


def wait_until_up(reader: Reader, block: Block, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + READY_S
    with httpx.Client(timeout=5) as client:
        while True:
            try:
                # With a key set /ready answers 401 to whoever has none: the server is up, and the page has the key.
                if client.get(f"{reader.url}/ready").status_code in (200, 401):
                    return
            except httpx.TransportError:
                pass  # not listening yet
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"{block.where}: the server is not up:\n{log.read_text()[-3000:]}", pytrace=False)
            time.sleep(0.1)


def javascript(reader: Reader, typescript: str) -> str:
    """The block as Node runs it: without its types, and with the server put before the paths."""
    prelude = "const plain = globalThis.fetch;\n"
    prelude += f"globalThis.fetch = (path, init) => plain({json.dumps(reader.url)} + path, init);\n"
    return prelude + re.sub(r"(\w+): string\b", r"\1", typescript)


def reader_in(folder: Path) -> Reader:
    """A reader in an empty folder, beside a copy of the docs, with `tribrid` on the path."""
    shutil.copytree(ROOT / "docs", folder / "docs", ignore=shutil.ignore_patterns(*LONG_PAGES))
    programs = folder / ".bin"
    programs.mkdir()
    tribrid = programs / "tribrid"
    tribrid.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -P -m tribrid.cli "$@"\n')
    tribrid.chmod(0o755)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environment = {
        **os.environ,
        **FAST,
        "PATH": os.pathsep.join([str(programs), str(Path(sys.executable).parent), os.environ["PATH"]]),
        "PYTHONPATH": str(ROOT / "src"),
        "TRIBRID_DATA_DIR": str(folder / ".tribrid"),
        "TRIBRID_PORT": str(port),
    }
    return Reader(folder, port, environment)


def follow(page: Path, folder: Path) -> None:
    """Run what the page goes on from, then its blocks from top to bottom."""
    reader = reader_in(folder)
    with ExitStack() as second_terminals:
        for block in to_run(page):
            run_block(reader, block, second_terminals)


RUN = [page for page in PAGES if runnable(page)]
FIRST_PAGES = ("README.md", "guide-first-loop.md")


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "page",
    [pytest.param(page, marks=[] if page.name in FIRST_PAGES else pytest.mark.heavy, id=page.name) for page in RUN],
)
def test_the_page_runs_as_it_stands(page: Path, program: Callable[[str], str], tmp_path: Path) -> None:
    for name in needed(page):
        program(name)
    follow(page, tmp_path)


def test_what_is_not_run_is_counted() -> None:
    left_out = {page.name: sum(block.reason is not None for block in blocks(page)) for page in PAGES}
    assert {name: count for name, count in left_out.items() if count} == NOT_RUN


def faults(page: Path) -> Iterator[str]:
    """What this test would pass over or could not read."""
    known = INERT | {"bash", "python", "typescript"}
    if page.read_text("utf-8").count("```") != 2 * len(blocks(page)):
        yield f"{page.name}: a fence this test does not see"
    for block in blocks(page):
        if block.language not in known:
            yield f"{block.where}: {block.language or 'no language'} is not known"
        elif block.language == "json" and not is_json(block.code):
            yield f"{block.where}: not JSON"


def is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def test_every_block_is_of_a_kind_that_is_known_and_json_is_json() -> None:
    assert not [fault for page in PAGES for fault in faults(page)]


def test_a_block_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```json\n{}\n```\n```perl\n1\n```\n```json\n{,}\n```\n- a\n  ```json\n  {}\n  ```\n", "utf-8")
    assert list(faults(page)) == [
        "page.md: a fence this test does not see",
        "page.md:5: perl is not known",
        "page.md:8: not JSON",
    ]


@pytest.mark.parametrize("page", [page for page in PAGES if goes_on_from(page)], ids=lambda page: page.name)
def test_what_a_page_goes_on_from_is_there_and_linked(page: Path) -> None:
    """A reader has to be told what a marker that they do not see has run."""
    for link in goes_on_from(page):
        assert blocks_of(page, link), link
        assert f"]({link})" in page.read_text("utf-8")


def test_no_example_is_written_twice() -> None:
    """Of two pages that show the same example one has to link to the other."""
    written: dict[str, str] = {}
    for block in (block for page in PAGES for block in runnable(page) if block.code.strip() != SERVE):
        assert written.setdefault(block.code, block.where) == block.where


def test_the_pages_are_found() -> None:
    """A pattern that matches nothing would pass all of the above."""
    names = {"README.md", "guide-first-loop.md", "howto-train.md", "howto-promote-export.md", "deploying.md"}
    assert {page.name for page in RUN} >= names
