"""What a command costs in processor time: this build against another checkout of Tribrid, by turns.

    python benchmarks/commands.py OLD_CHECKOUT [--runs 9] [--only WORD]

Each build makes a data folder of its own: these docs indexed, an eval dataset, a small trained model, a logged search.
Every command then runs `--runs` times in each build, old and new by turns, so that a busy machine slows both. Seconds
are user and system time of the command's process, medians. Python's byte code is written before anything is timed, as
in an installation. Nothing of the old checkout is changed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parents[1]
CORPUS, QUERY = "notes", "how is a model promoted"
SETTINGS = ["--epochs", "1", "--set", "cross_encoder=false"]
QUERIES = ["what is the eval dataset", "install and start the server", "how are logs imported", "exit codes"]
# {query_id} and {doc_id} are those of a search that was logged.
COMMANDS = [
    ["--version"],
    ["--help"],
    ["corpora"],
    ["models", CORPUS],
    ["runs", "--corpus", CORPUS],
    ["evaluations", "--corpus", CORPUS],
    ["triplets", CORPUS],
    ["config", CORPUS],
    ["logs", "prune", CORPUS, "--days", "30"],
    ["evalset", "show", CORPUS],
    ["evalset", "check", CORPUS],
    ["feedback", "{query_id}", "{doc_id}", "--signal", "click"],
    ["search", CORPUS, QUERY],
    ["-c", "from tribrid import Tribrid"],
]


class Build:
    """A checkout with a data folder of its own."""

    def __init__(self, checkout: Path, folder: Path) -> None:
        self.folder = folder
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("TRIBRID_", "PYTHON"))}
        self.env = {
            **kept,
            "PYTHONPATH": str(checkout / "src"),
            "PYTHONPYCACHEPREFIX": str(folder / "bytecode"),
            "HF_HUB_OFFLINE": "1",
        }
        self.logged: dict[str, str] = {}

    def call(self, words: Sequence[str]) -> list[str]:
        if words[0] == "-c":
            return [sys.executable, "-P", *words]
        return [sys.executable, "-P", "-m", "tribrid.cli", "--data-dir", str(self.folder / "data"), *words]

    def do(self, *words: str) -> str:
        done = subprocess.run(self.call(words), env=self.env, cwd="/", capture_output=True, text=True, check=False)
        if done.returncode not in (0, 1):  # 1: a check found a fault, which it may
            raise SystemExit(f"tribrid {' '.join(words)}: {done.stderr}")
        return done.stdout

    def prepare(self) -> None:
        """Fill the data folder."""
        self.do("index", CORPUS, str(ROOT / "docs"))
        found = [json.loads(self.do("search", CORPUS, query, "--json"))["results"] for query in QUERIES]
        judged = [
            {"query_id": str(number), "text": text, "judgments": {row["doc_id"]: 1 for row in rows[:2]}}
            for number, (text, rows) in enumerate(zip(QUERIES, found, strict=True))
        ]
        file = self.folder / "judged.json"
        file.write_text(json.dumps({"queries": judged}))
        self.do("evalset", "put", CORPUS, "--file", str(file))
        self.do("mine", CORPUS, "--source", "heuristics", "--max-pairs", "100")
        self.do("train", CORPUS, *SETTINGS)
        answer = json.loads(self.do("search", CORPUS, QUERY, "--json"))
        self.logged = {"query_id": answer["query_id"], "doc_id": answer["results"][0]["doc_id"]}

    def seconds(self, words: Sequence[str]) -> float:
        """Processor time of one run."""
        command = self.call([word.format(**self.logged) if word.startswith("{") else word for word in words])
        process = subprocess.Popen(command, env=self.env, cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode not in (0, 1):
            raise SystemExit(f"tribrid {' '.join(words)} ended with {process.returncode}")
        return used.ru_utime + used.ru_stime


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old", type=Path, help="another checkout")
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--only", default="", help="commands with this word")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        builds = {}
        for name, checkout in (("old", args.old.resolve()), ("new", ROOT)):
            folder = Path(temporary) / name
            folder.mkdir()
            builds[name] = Build(checkout, folder)
            builds[name].prepare()
        print("| command | old, s | new, s | new / old |\n| --- | --- | --- | --- |")
        for words in COMMANDS:
            if args.only and args.only not in words:
                continue
            took: dict[str, list[float]] = {name: [] for name in builds}
            for run in range(args.runs + 1):
                for name, build in builds.items():
                    seconds = build.seconds(words)
                    if run:  # the first one wrote byte code
                        took[name].append(seconds)
            old, new = median(took["old"]), median(took["new"])
            program = "python" if words[0] == "-c" else "tribrid"
            print(f"| `{program} {' '.join(words)}` | {old:.2f} | {new:.2f} | {new / old:.2f} |", flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
