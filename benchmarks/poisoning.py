"""What can one client, or a few, do to what everybody sees? And what does the protection cost honest users?

    python benchmarks/poisoning.py ../shared/data/bestbuy-xbox --cache cache
    PYTHONPATH=OLD/src python benchmarks/poisoning.py ../shared/data/bestbuy-xbox --cache cache

Honest: a thousand searches sampled from the shop's clicks, each with a client of its own and with the click, if what
was clicked is among the 50 shown; and 900 judged queries. The eval dataset is 250 other judged queries. Poisoned: for
each dose, other clients ask popular queries and act on the document at rank 40, a day between any two searches, so that
no rate gives them away. Every dose has clients and queries of its own, so one log holds all of them. The model is
promoted whatever the gate says: it is the learning that is measured.
"""

from __future__ import annotations

import json
import random
import shutil
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from real_clicks import Click, as_judged, read
from tribrid.app import Tribrid
from tribrid.corpus.lexical import normalise
from tribrid.types import JudgedQuery
from workbench import indexed, parser, spread

DEPTH, TARGET_RANK, TOP = 50, 40, 10
SIGNALS = ("click", "thumbs_up")
Dose = tuple[str, int, int]
"""A signal, how often each client gives it, and how many clients do."""


@dataclass(frozen=True)
class Target:
    """A document that somebody wants to see higher, for a query, by a dose."""

    dose: Dose
    query: str
    doc_id: str


def lines_of(number: str, query: str, shown: Sequence[str], at: datetime, client: str, *acts: tuple[str, str]) -> str:
    """A search and what was done with it, as an import takes them."""
    common = {"query_id": number, "timestamp": at.isoformat()}
    rows: list[dict[str, object]] = [{**common, "query": query, "shown": list(shown), "client_id": client}]
    rows += [{**common, "signal": signal, "doc_id": doc_id} for signal, doc_id in acts]
    return "".join(json.dumps(row) + "\n" for row in rows)


def honest(shown: Mapping[str, Sequence[str]], clicks: Sequence[Click]) -> str:
    """The log of these searches."""
    lines = []
    for number, (_, query, doc_id, _) in enumerate(clicks):
        acts = [("click", doc_id)] if doc_id in shown[normalise(query)] else []
        at = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=7 * number)
        lines.append(lines_of(f"h{number}", query, shown[normalise(query)], at, f"person{number}", *acts))
    return "".join(lines)


def ranking(tribrid: Tribrid, corpus: str, query: str) -> list[str]:
    return [found.doc_id for found in tribrid.corpus(corpus).search(query, DEPTH).results]


def poison(targets: Sequence[Target], shown: Mapping[str, Sequence[str]]) -> str:
    """The log of those who want to see the targets higher."""
    lines = []
    for at, target in enumerate(targets):
        signal, times, clients = target.dose
        for client in range(clients):
            for time in range(times):
                when = datetime(2026, 1, 1, 12, tzinfo=UTC) + timedelta(days=time, minutes=client)
                name = f"p{at}-{client}-{time}"
                act = (signal, target.doc_id)
                lines.append(lines_of(name, target.query, shown[target.query], when, f"{target.dose}-{client}", act))
    return "".join(lines)


@dataclass
class Learned:
    """What came of one log."""

    ranks: dict[Target, int]
    ndcg: float
    before: float
    told: str


def learn(home: Path, corpus: str, log: str, targets: Sequence[Target], seed: int, settings: Sequence[str]) -> Learned:
    """Mines, trains and promotes on a copy of the data folder with this log added."""
    with tempfile.TemporaryDirectory() as temporary:
        shutil.copytree(home, Path(temporary) / "data")
        with Tribrid(Path(temporary) / "data") as tribrid:
            own = tribrid.corpus(corpus)
            if log:
                own.logs.add([log.encode()])
            mined = own.mine()
            trained = own.train(seed=seed, **dict(pair.split("=", 1) for pair in settings))
            report = own.evaluate()
            if not report.promoted:
                own.promote(trained.model_id, "what the model does is measured, not the gate", force=True)
            ranks = {}
            for target in targets:
                found = ranking(tribrid, corpus, target.query)
                ranks[target] = found.index(target.doc_id) + 1 if target.doc_id in found else DEPTH + 1
            known = mined.model_dump(mode="json").get("clients") or {}
            verdict = f"{report.verdict.decision}: {report.verdict.reasons[-1]}"
            told = f"{verdict} Heaviest client {known.get('heaviest_share')}; {known.get('told')}"
            return Learned(ranks, report.after["ndcg@10"], report.before["ndcg@10"], told)


@dataclass(frozen=True)
class Shop:
    """What all the logs share.

    Attributes:
        shown: of each query, what the first stage shows.
        popular: the queries of the sampled searches, most frequent first.
    """

    sampled: list[Click]
    shown: dict[str, list[str]]
    popular: list[str]
    training: list[JudgedQuery]
    evaluation: list[JudgedQuery]


def shop(tribrid: Tribrid, corpus: str, clicks: Sequence[Click], seed: int) -> Shop:
    rng = random.Random(seed)
    sampled = rng.sample(clicks, 1000)
    popular = [text for text, _ in Counter(normalise(click[1]) for click in sampled).most_common()]
    shown = {text: ranking(tribrid, corpus, text) for text in popular}
    judged = as_judged(clicks)
    rng.shuffle(judged)
    evaluation = [query for query in judged if normalise(query.text) not in popular[:60]][:250]
    held = {query.query_id for query in evaluation}
    training = [query for query in judged if query.query_id not in held][:900]
    return Shop(sampled, shown, popular, training, evaluation)


def targets_of(made: Shop, doses: Sequence[Dose], queries: int) -> list[Target]:
    """The most popular queries, dealt to the doses by turns."""
    asked = [query for query in made.popular if len(made.shown[query]) >= TARGET_RANK][: queries * len(doses)]
    return [
        Target(doses[turn % len(doses)], query, made.shown[query][TARGET_RANK - 1]) for turn, query in enumerate(asked)
    ]


def table(clean: Learned, poisoned: Learned, doses: Sequence[Dose]) -> str:
    """Markdown: the ranks of the targets, with the poison and without."""
    lines = ["| clients | dose of each | rank with it | the same data without | entered the top 10 |"]
    lines.append("| --- | --- | --- | --- | --- |")
    for dose in sorted(doses, key=lambda dose: dose[2]):
        signal, times, clients = dose
        targets = [target for target in poisoned.ranks if target.dose == dose]
        entered = sum(poisoned.ranks[target] <= TOP < clean.ranks[target] for target in targets)
        after = ", ".join(str(poisoned.ranks[target]) for target in targets)
        without = ", ".join(str(clean.ranks[target]) for target in targets)
        act = f"{times} {signal.replace('_', ' ')}"
        lines.append(f"| {clients} | {act} | {after} | {without} | {entered} of {len(targets)} |")
    return "\n".join(lines)


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--clicks", default="raw/train.csv")
    arguments.add_argument("--doses", type=int, nargs="+", default=[1, 3, 10, 40])
    arguments.add_argument("--clients", type=int, nargs="+", default=[1, 3, 10])
    arguments.add_argument("--queries", type=int, default=2, help="popular queries a dose")
    arguments.add_argument("--sample", type=int, default=13, help="which searches are drawn")
    arguments.add_argument("--processes", type=int, default=1, help="with 2, both logs are learned from at once")
    args = arguments.parse_args()
    corpus, seed, settings = args.folder.name, args.seeds[0], args.set or ["cross_encoder=false"]
    rows = (args.folder / "corpus.jsonl").read_text("utf-8").splitlines()
    clicks = read(args.folder / args.clicks, frozenset(json.loads(row)["_id"] for row in rows if row))
    doses = [(signal, times, clients) for times in args.doses for signal in SIGNALS for clients in args.clients]
    with indexed(args.folder, args.cache) as tribrid:
        made = shop(tribrid, corpus, clicks, args.sample)
    targets = targets_of(made, doses, args.queries)
    log = honest(made.shown, made.sampled)
    with indexed(args.folder, args.cache) as tribrid:
        own = tribrid.corpus(corpus)
        own.logs.add([log.encode()])
        own.judgments.put(made.training)
        own.eval_dataset.put(made.evaluation)
        clicked = log.count('"signal"')
        print(f"{len(made.sampled)} honest searches, {clicked} with a click", flush=True)
        home = tribrid.folder.data_dir
        learned = partial(learn, home, corpus, targets=targets, seed=seed, settings=settings)
        logs = ["", poison(targets, made.shown)]
        clean, poisoned = spread(learned, logs, args.processes)
        print(f"honest alone: nDCG@10 {clean.before:.4f} -> {clean.ndcg:.4f}; {clean.told}", flush=True)
        print(f"with all doses: nDCG@10 {poisoned.before:.4f} -> {poisoned.ndcg:.4f}; {poisoned.told}", flush=True)
    print(f"\n{table(clean, poisoned, doses)}")


if __name__ == "__main__":
    from poisoning import main as by_its_name  # where other processes find what they are sent

    by_its_name()
