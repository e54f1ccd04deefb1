"""Writes docs/reference/ from the program itself: `python docs/generate.py`; `--check` only tells what is stale.

Settings come from the Pydantic models, commands from the Typer app, routes from the OpenAPI document, errors from the
error tree, measures from MEASURES, variables from `read_environment`, events from their types. Where the program has
a name but no sentence, the sentence is in sentences.py; a name without one ends the script.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, get_args

import found
import library
import sentences
from pages import bounds, code_of, example, fields, head, paragraphs, ref, refs, shape, table, type_of
from typer.main import get_command

from tribrid import errors
from tribrid.api.auth import OPEN_PATHS
from tribrid.api.scopes import ANY, OF_ALL, ROUTES
from tribrid.api.server import create_app
from tribrid.app import Tribrid
from tribrid.cli.program import __doc__ as PROGRAM
from tribrid.cli.program import app
from tribrid.config import ENV_PREFIX, Config, Environment, read_environment
from tribrid.errors import TribridError
from tribrid.evaluation.measures import MEASURES
from tribrid.types import EventType, Scope, Signal

FOLDER = Path(__file__).resolve().parent / "reference"


def settings() -> Iterator[str]:
    """Every setting with its default, bounds and meaning."""
    yield from head("Settings", "")
    yield (
        "A value comes from the first of: the corpus's override (`PATCH /corpora/{corpus_id}/config`), the global "
        f"override (`PATCH /config`), the environment (`{ENV_PREFIX}<SECTION>__<FIELD>`, such as "
        f"`{ENV_PREFIX}RERANKING__RERANKER_MODE=none`), the default below. `tribrid config` shows each value and where "
        "it came from. Every setting of `training` can also be given to one `POST /reranker/train` alone. An unknown "
        "name is an error that names it."
    )
    definitions = Config.model_json_schema()["$defs"]
    for section, field in Config.model_fields.items():
        model: Any = field.annotation
        rows = [
            (f"`{section}.{name}`", code_of(schema.get("default")), bounds(schema), schema["description"])
            for name, schema in definitions[model.__name__]["properties"].items()
        ]
        yield f"## {section}"
        yield table(("Setting", "Default", "Values", "Meaning"), rows)


def commands() -> Iterator[str]:
    """Every command with its arguments and options."""
    group: Any = get_command(app)
    yield from head("Commands", "")
    everywhere = [option for option in next(iter(group.commands.values())).params if option.rich_help_panel]
    yield "Every command takes, before or after its name:"
    yield table(("Option", "Meaning"), [(_typed(option), option.help) for option in everywhere])
    yield "The exit code says how it ended:"
    yield "```text\n" + "\n".join((PROGRAM or "").strip().splitlines()[2:]) + "\n```"
    for name, command in group.commands.items():
        own = [param for param in command.params if not param.rich_help_panel and not getattr(param, "hidden", False)]
        places = [param for param in own if not param.opts[0].startswith("-")]
        options = [param for param in own if param not in places]
        synopsis = " ".join(["tribrid", name, *map(_place, places), *(["[OPTIONS]"] if options else [])])
        yield f"## {name}"
        yield f"```text\n{synopsis}\n```"
        yield paragraphs(command.help)
        if own:
            rows = [(_typed(param), (param.help or "") + _option_default(param)) for param in [*places, *options]]
            yield table(("Argument or option", "Meaning"), rows)


def routes() -> Iterator[str]:
    """Every route with its parameters, its body and the fields of its answer."""
    document = _openapi()
    yield from head("Routes", "")
    yield (
        "The same, to try out, is at `/docs` of a running server, and as an OpenAPI document at `/openapi.json`. "
        "Every error is `application/problem+json` (RFC 9457) with a `code` of [errors](errors.md), a `detail` that "
        "says what to do, and the `request_id`. Where a server asks for [keys](../deploying.md#who-may-call-it), one "
        "with the scope `admin` may do everything."
    )
    schemas = document["components"]["schemas"]
    told: dict[str, str] = {}
    for tag in document["tags"]:
        yield f"## {tag['name']}"
        yield tag["description"]
        for path, methods in document["paths"].items():
            for method, route in methods.items():
                if tag["name"] in route["tags"]:
                    yield from _route(method.upper(), path, route, schemas)
                    yield from _answers(f"{method.upper()} {path}", route, schemas, told)


@cache
def _openapi() -> dict[str, Any]:
    # The output must not depend on who runs it: no setting of theirs, no folder of their machine.
    with tempfile.TemporaryDirectory() as folder, Tribrid(folder, environment=read_environment({})) as tribrid:
        return create_app(tribrid).openapi()


def _answers(
    operation: str, route: Mapping[str, Any], schemas: Mapping[str, Any], told: dict[str, str]
) -> Iterator[str]:
    """What a route answers, by status. `told`: answers that have been listed, and where; they are not listed again."""
    for status, answer in route["responses"].items():
        if status == "default":
            continue
        said = answer["description"].rstrip(".")
        kinds = answer.get("content", {})
        beside = [f"`{kind}`" for kind in kinds if kind != "application/json"]
        forms = next((content["schema"] for content in kinds.values() if content["schema"].get("type") != "string"), {})
        parts = forms.get("anyOf", [forms] if forms else [])
        yield f"Answers {status}{', as ' + ' or '.join(beside) if beside else ''}: " + (
            f"{said}: {' or '.join(map(type_of, parts))}." if parts else f"{said}."
        )
        name = ref(parts[0]) if parts else ""
        if name in told:
            yield f"Its fields: see [{told[name]}](#{_anchor(told[name])})."
        elif schemas.get(name, {}).get("properties"):
            told[name] = operation
            yield fields(schemas[name])


def answers() -> Iterator[str]:
    """Every object that stands in an answer, with its fields."""
    document = _openapi()
    schemas = document["components"]["schemas"]
    reached, waiting = (
        set[str](),
        [refs(operation["responses"]) for methods in document["paths"].values() for operation in methods.values()],
    )
    while waiting:
        new = waiting.pop() - reached
        reached |= new
        waiting += [refs(schemas[name]) for name in new]
    yield from head("Objects in answers", "")
    yield (
        "The objects that the answers of the [routes](routes.md) are made of, as the OpenAPI document names them. The "
        "library returns the same ones: `tribrid.answers`. A field is always there, null where it does not apply, "
        "except where it says absent."
    )
    for name in sorted(reached):
        yield f"## {name}"
        yield paragraphs(schemas[name].get("description", ""))
        yield fields(schemas[name]) if schemas[name].get("properties") else f"Is: {type_of(schemas[name])}."


def _anchor(operation: str) -> str:
    """As GitHub makes it of a heading."""
    return re.sub(r"[^a-z0-9_ -]", "", operation.lower()).replace(" ", "-")


def _key(method: str, path: str) -> str:
    """Which key a route asks for, where a server asks for any."""
    if path in OPEN_PATHS:
        return "No key is ever asked for."
    # The OpenAPI document leaves out that a parameter may hold slashes.
    (name,) = (name for name in ROUTES if name.replace(":path}", "}") == f"{method} {path}")
    if ROUTES[name] == ANY:
        return "Any key will do."
    scopes = " or ".join(f"`{scope}`" for scope in sorted(ROUTES[name] or {Scope.ADMIN}))
    return f"Key: scope {scopes}{', not bound to corpora' if name in OF_ALL else ''}."


def _route(method: str, path: str, route: Mapping[str, Any], schemas: Mapping[str, Any]) -> Iterator[str]:
    yield f"### {method} {path}"
    yield f"{route['summary']}. {paragraphs(route.get('description', ''))}".strip()
    yield _key(method, path)
    body = route.get("requestBody", {})
    rows = [*_query_rows(route), *_body_rows(body, schemas)]
    if rows:
        yield table(("Name", "In", "Values", "Meaning"), rows)
    if body.get("description"):
        yield f"Body: {body['description']}"
    for kind, shown in _examples(body):
        yield f"For example, as `{kind}`:"
        yield example(shown)


def _query_rows(route: Mapping[str, Any]) -> Iterator[tuple[str, str, str, str]]:
    for given in route.get("parameters", ()):
        if given["in"] != "path":
            yield f"`{given['name']}`", given["in"], shape(given["schema"]), given["description"]


def _body_rows(body: Mapping[str, Any], schemas: Mapping[str, Any]) -> Iterator[tuple[str, str, str, str]]:
    for content in body.get("content", {}).values():
        named = schemas.get(ref(content["schema"]), {})
        for name, schema in named.get("properties", {}).items():
            place = "body, required" if name in named.get("required", ()) else "body"
            yield f"`{name}`", place, shape(schema), schema.get("description", "")


def _examples(carrier: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Content types and their examples, of a body or an answer."""
    for kind, content in carrier.get("content", {}).items():
        examples = content.get("schema", {}).get("examples", ())
        if "example" in content or examples:
            yield kind, content.get("example", next(iter(examples), None))


def tree() -> Iterator[str]:
    """Every error with its code, status and exit code."""
    yield from head("Errors", "")
    yield (
        "Each has a stable `code` to program against, and a `detail` for people that may change. HTTP answers have "
        "the status, commands the exit code, the library the exception (`from tribrid.errors import ...`)."
    )
    rows = [
        (f"`{error.code}`", f"`{error.__name__}`", error.title, str(error.status), str(error.exit_code))
        for error in _errors(TribridError)
    ]
    yield table(("Code", "Exception", "Title", "HTTP status", "Exit code"), rows)
    drawn = (errors.__doc__ or "").split("\n\n")[1]
    yield "## The tree"
    yield f"```text\n{drawn}\n```"


def _errors(root: type[TribridError]) -> Iterator[type[TribridError]]:
    yield root
    for child in root.__subclasses__():
        yield from _errors(child)


def measures() -> Iterator[str]:
    """Every measure with its definition."""
    yield from head("Measures", "")
    yield (
        "All are 0 to 1, per query, and reports give their mean over the queries that have a relevant document (a "
        "grade of 1 or more). The numbers are trec_eval's, computed by ir_measures. A query the ranking missed "
        "counts 0. Ties are broken by `doc_id`, descending."
    )
    rows = [(f"`{key}`", f"`{name}`", *sentences.MEASURES[key]) for key, name in MEASURES.items()]
    yield table(("Name", "In ir_measures", "What it is", "Source"), rows)
    yield (
        "These are in every report. Any other that trec_eval computes can be added (`evaluation.measures`) or made to "
        "decide (`evaluation.primary_measure`), by its name here, such as `ndcg@5`, `precision@5`, `success@1`, or by "
        "ir_measures' name: `Rprec`, `Bpref`, `AP(rel=2)`, `nDCG(dcg='exp-log2')@10` and so on. Reports, settings and "
        "answers show every measure by one name: `AP(rel=2)` is `map-rel-2`."
    )


def variables() -> Iterator[str]:
    """Every environment variable that is read."""
    named = {name: field for name, field in Environment.model_fields.items() if name not in ("overrides", "cloud_keys")}
    yield from head("Environment", "")
    rows = [
        (
            f"`{ENV_PREFIX}{name.upper()}`",
            sentences.VARIABLES[name]
            + ("" if field.is_required() or not field.default else f" Default: {code_of(field.default)}."),
        )
        for name, field in named.items()
    ]
    rows.append((f"`{ENV_PREFIX}<SECTION>__<FIELD>`", "Any of the [settings](settings.md)."))
    rows += [(f"`{name}`", "Key of this rerank service, sent to its own address only.") for name in _cloud_variables()]
    rows += [
        (
            "`TRIBRID_RERANKER_CLOUD_API_KEY`",
            "Key of your own rerank server; sent only to the address in `TRIBRID_RERANKING__RERANKER_CLOUD_URL`.",
        ),
        (
            "`TRIBRID_GENERATION_API_KEY`",
            "Key of the server that writes queries for mining; sent only to `TRIBRID_GENERATION__BASE_URL`'s address.",
        ),
        (
            "`TRIBRID_JUDGING_API_KEY`",
            "Key of the server whose model judges; sent only to `TRIBRID_JUDGING__BASE_URL`'s address.",
        ),
        (
            "`TRIBRID_PULL_KEY`",
            "Key of the engine that `tribrid pull` reads, not of PostgreSQL: `user:password`, or an API key.",
        ),
        (
            "`TRIBRID_ALERT_KEY`",
            "Signs the alerts of scheduled evaluations, as Standard Webhooks do; it is not sent.",
        ),
        (
            "`OPENAI_API_KEY`",
            "The same where `generation.base_url` or `judging.base_url` is OpenAI's, and sent nowhere else.",
        ),
    ]
    yield table(("Variable", "Meaning"), rows)


def _cloud_variables() -> list[str]:
    """The variables that hold keys, found by asking which of its likely names `read_environment` takes up."""
    mode: Any = Config.model_fields["reranking"].annotation
    providers = get_args(get_args(mode.model_fields["reranker_cloud_provider"].annotation)[0])
    likely = {f"{provider.upper()}_API_KEY": "key" for provider in providers}
    taken = read_environment(likely).cloud_keys
    return [name for name in likely if name.removesuffix("_API_KEY").lower() in taken]


def events() -> Iterator[str]:
    """Every event of a run, and every feedback signal."""
    yield from head("Events and signals", "")
    yield "## Events of a run"
    yield (
        "`GET /reranker/train/run/{run_id}/metrics` tells them from the first to the last, as NDJSON or, with "
        "`Accept: text/event-stream`, as Server-Sent Events. Each is `seq` (from 1, without gaps), `type`, `at` (ISO "
        "8601, UTC) and `data`. They are stored: a reader that comes late or again loses nothing."
    )
    yield table(("Type", "What `data` holds"), [(f"`{kind}`", sentences.EVENTS[kind]) for kind in get_args(EventType)])
    yield "## Signals of feedback"
    yield table(("Signal", "Meaning"), [(f"`{signal}`", sentences.SIGNALS[signal]) for signal in Signal])


def _place(param: Any) -> str:
    name = param.metavar + ("..." if param.nargs == -1 else "")
    return name if param.required else f"[{name}]"


def _typed(param: Any) -> str:
    if not param.opts[0].startswith("-"):
        return f"`{param.metavar}`"
    value = "" if param.is_flag else f" {param.metavar or param.name.upper()}"
    return ", ".join(f"`{option}{value}`" for option in [*param.opts, *param.secondary_opts])


def _option_default(param: Any) -> str:
    if param.required and param.opts[0].startswith("-"):
        return " Required."
    shown = (
        not param.opts[0].startswith("-") or param.default in (None, False, "", ()) or "Default" in (param.help or "")
    )
    return "" if shown else f" Default: {code_of(param.default)}."


PAGES = {
    "settings.md": settings,
    "commands.md": commands,
    "routes.md": routes,
    "answers.md": answers,
    "errors.md": tree,
    "measures.md": measures,
    "environment.md": variables,
    "events.md": events,
    "library.md": library.page,
}
BESIDE = {"findings.md": found.page}
"""Pages that stand beside the reference."""


def main(argv: Sequence[str]) -> int:
    """Write the pages, or with --check compare them; 1 if one is stale."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; exit code 1 if a page is stale")
    check = parser.parse_args(argv).check
    FOLDER.mkdir(exist_ok=True)
    stale = []
    for name, page in (PAGES | BESIDE).items():
        folder = FOLDER.parent if name in BESIDE else FOLDER
        path, text = folder / name, "\n\n".join(page()) + "\n"
        if not path.exists() or path.read_text("utf-8") != text:
            stale.append(name)
            if not check:
                path.write_text(text, "utf-8")
    if stale:
        sys.stdout.write(f"{'stale' if check else 'written'}: {', '.join(stale)}\n")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
