"""The demo's corpus and labels, made from the standard library that the running interpreter already has.

A document is a function or a class without its docstring; a query is the first sentence of a docstring, and the one
document that sentence was taken from is relevant to it. Nothing of a query stands in any document. Whole packages go
either to training or to the eval dataset, so nothing about an eval package is learned. The same interpreter gives the
same collection on every machine.
"""

from __future__ import annotations

import hashlib
import re
import sysconfig
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from tribrid.corpus.code import first_sentence, python_functions
from tribrid.corpus.lexical import normalise
from tribrid.demo.outline import class_outline
from tribrid.errors import InvalidInput, Unavailable
from tribrid.mining.splits import query_clusters
from tribrid.types import Document, JudgedQuery

CORPUS_ID = "tribrid"
EVAL_QUERIES = 300
TRAINING_QUERIES = 900
DOCUMENTS = 4_000
"""About 4,800 passages, which two cores embed in about two minutes."""

# What a Python programmer is likely to know, and what every version since 3.11 has.
_PACKAGES = """
    argparse ast asyncio base64 bdb bisect calendar cmd code codecs collections colorsys compileall concurrent
    configparser contextlib copy csv ctypes curses dataclasses datetime dbm difflib dis doctest email enum filecmp
    fileinput fnmatch fractions ftplib functools getopt getpass gettext glob graphlib gzip hashlib heapq hmac html http
    imaplib importlib inspect ipaddress json keyword linecache locale logging lzma mailbox mimetypes multiprocessing
    netrc numbers operator optparse os pathlib pdb pickle pickletools pkgutil platform plistlib poplib posixpath pprint
    profile pstats queue quopri random re reprlib rlcompleter runpy sched secrets selectors shelve shlex shutil site
    smtplib socket socketserver sqlite3 ssl stat statistics string stringprep subprocess symtable sysconfig tabnanny
    tarfile tempfile textwrap threading timeit token tokenize tomllib trace traceback tracemalloc types typing unittest
    urllib uuid venv warnings wave weakref webbrowser wsgiref xml xmlrpc zipapp zipfile zipimport zoneinfo
"""
PACKAGES = tuple(_PACKAGES.split())
_NOT_PRODUCT = "test tests idlelib lib2to3 site-packages dist-packages turtledemo ensurepip encodings pydoc_data"
EXCLUDED = frozenset([*_NOT_PRODUCT.split(), "__pycache__"])

MAX_DOCUMENT_CHARS = 8_000
# So that many packages are measured, and none makes up much of it.
MAX_EVAL_PER_PACKAGE, MAX_TRAINING_PER_PACKAGE = 12, 60
FEWEST_WORDS, MOST_WORDS = 4, 30
_FEWEST_PACKAGES = 60
_WORD = re.compile(r"[^\W\d_]{2,}")
# Grammar rules, signatures and doctests that stand where a sentence should.
_NOT_PROSE = re.compile(r"->|=|>>>|::|^\W|^\w+\(")


@dataclass(frozen=True, slots=True)
class Collection:
    """`training` and `evaluation` are judged queries over `documents`; no package gives to both."""

    documents: tuple[Document, ...]
    training: tuple[JudgedQuery, ...]
    evaluation: tuple[JudgedQuery, ...]

    @property
    def sha256(self) -> str:
        """Names the collection: another interpreter version makes another."""
        digest = hashlib.sha256()
        for document in self.documents:
            digest.update(f"{document.doc_id}\0{document.title}\0{document.text}\0".encode())
        for query in (*self.training, *self.evaluation):
            digest.update(f"{query.query_id}\0{query.text}\0".encode())
        return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class _Unit:
    """A document, and the query its docstring gives (empty: none)."""

    document: Document
    query: str

    @property
    def package(self) -> str:
        return package_of(self.document.doc_id)


def package_of(doc_id: str) -> str:
    """The top-level package or module: "json" of `json/decoder.py:JSONDecoder.raw_decode`."""
    return PurePosixPath(doc_id.partition(":")[0]).parts[0].removesuffix(".py")


def collect(library: Path | None = None) -> Collection:
    """The collection of a standard library (default: the running interpreter's).

    Raises:
        Unavailable: too little of the library's source is there, as in a stripped container image.
    """
    root = library or Path(sysconfig.get_path("stdlib"))
    files = list(_files(root))
    if library is None and len({package_of(path.relative_to(root).as_posix()) for path in files}) < _FEWEST_PACKAGES:
        raise Unavailable(
            f"The demo searches the source of Python's standard library, and {root} holds too little of it. "
            "Use a Python that was installed with its library's source.",
            path=str(root),
        )
    units = _distinct(unit for path in files for unit in _units(path, path.relative_to(root).as_posix()))
    training, evaluation = _split(_askable(units))
    return Collection(
        documents=_documents(units, {unit.document.doc_id for unit in (*training, *evaluation)}),
        training=tuple(map(_judged, training)),
        evaluation=tuple(map(_judged, evaluation)),
    )


def _files(root: Path) -> Iterator[Path]:
    """The source files of PACKAGES in the order of their paths."""
    for package in PACKAGES:
        if (root / f"{package}.py").is_file():
            yield root / f"{package}.py"
        for path in sorted((root / package).rglob("*.py")):
            if not EXCLUDED.intersection(path.relative_to(root).parts):
                yield path


def _units(path: Path, relative: str) -> Iterator[_Unit]:
    module = relative.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    try:
        for unit in python_functions(path, module):
            source = unit.source_without_docstring
            text = class_outline(source) if unit.kind == "class" else source
            if len(text) <= MAX_DOCUMENT_CHARS:
                document = Document(f"{relative}:{unit.qualname[len(module) + 1 :]}", text=text, title=unit.qualname)
                yield _Unit(document, _query(unit.docstring or "", unit.name))
    except InvalidInput:
        # Not Python of this version: test data that some distributions leave among the modules.
        return


def _query(docstring: str, name: str) -> str:
    """The first sentence, if somebody could have typed it; else nothing."""
    sentence = first_sentence(docstring)
    words = [word for word in sentence.split() if _WORD.search(word)]
    if not FEWEST_WORDS <= len(words) <= MOST_WORDS or _NOT_PROSE.search(sentence):
        return ""
    return "" if normalise(sentence) == normalise(name.replace("_", " ")) else sentence


def _distinct(units: Iterable[_Unit]) -> list[_Unit]:
    """Without a second definition of a name in a module, and without a second document of the same text."""
    ids: set[str] = set()
    texts: set[str] = set()
    kept: list[_Unit] = []
    for unit in units:
        text = normalise(unit.document.text)
        if unit.document.doc_id not in ids and text not in texts:
            kept.append(unit)
        ids.add(unit.document.doc_id)
        texts.add(text)
    return kept


def _askable(units: Sequence[_Unit]) -> list[_Unit]:
    """Those with a query that nothing else asks, in the order of a hash: a fixed random order."""
    asked = Counter(normalise(unit.query) for unit in units if unit.query)
    once = [unit for unit in units if unit.query and asked[normalise(unit.query)] == 1]
    return sorted(once, key=lambda unit: _hash(unit.document.doc_id))


def _split(askable: Sequence[_Unit]) -> tuple[list[_Unit], list[_Unit]]:
    """(training, evaluation): whole packages, and of two queries that say the same, across the two, neither trains."""
    by_package: defaultdict[str, list[_Unit]] = defaultdict(list)
    for unit in askable:
        by_package[unit.package].append(unit)
    training: list[_Unit] = []
    evaluation: list[_Unit] = []
    for package in sorted(by_package, key=_hash):
        if len(evaluation) < EVAL_QUERIES:
            evaluation += by_package[package][:MAX_EVAL_PER_PACKAGE]
        else:
            training += by_package[package][:MAX_TRAINING_PER_PACKAGE]
    evaluation = _mixed(evaluation)[:EVAL_QUERIES]
    clusters = query_clusters([unit.query for unit in (*evaluation, *training)])
    held_out = set(clusters[: len(evaluation)])
    own = zip(training, clusters[len(evaluation) :], strict=True)
    return _mixed(unit for unit, cluster in own if cluster not in held_out)[:TRAINING_QUERIES], evaluation


def _mixed(units: Iterable[_Unit]) -> list[_Unit]:
    return sorted(units, key=lambda unit: _hash(unit.document.doc_id))


def _documents(units: Sequence[_Unit], wanted: set[str]) -> tuple[Document, ...]:
    """The wanted documents and, up to DOCUMENTS of them, a sample of all others, in the order of their ids."""
    by_want = sorted(units, key=lambda unit: (unit.document.doc_id not in wanted, _hash(unit.document.doc_id)))
    kept = [unit.document for unit in by_want[: max(DOCUMENTS, len(wanted))]]
    return tuple(sorted(kept, key=lambda document: document.doc_id))


def _judged(unit: _Unit) -> JudgedQuery:
    return JudgedQuery(_hash(unit.document.doc_id)[:12], unit.query, {unit.document.doc_id: 1})


def _hash(text: str) -> str:
    return hashlib.sha256(f"tribrid demo:{text}".encode()).hexdigest()
