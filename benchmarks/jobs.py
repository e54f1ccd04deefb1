"""What the queue of jobs costs: delay, idle processor time, jobs a second, and how soon a killed worker's job goes on.

    python benchmarks/jobs.py [--databases sqlite postgresql] [--workers 1 4] [--jobs N] [--no-lease]

Workers are real, each with a data folder of its own; PostgreSQL is a throwaway server of ours (initdb must be
installed). A trivial job writes one line. With PYTHONPATH another build's `src` is measured by the same script.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from tribrid.jobs import Supervisor, submit, wait
from tribrid.store import Store
from tribrid.types import Emit, Job, JobKind

TIMEOUT_S = 120.0
CORPORA = 8
TICKS = os.sysconf("SC_CLK_TCK")


class Place(NamedTuple):
    """One database with its workers."""

    root: Path
    workers: list[Supervisor]
    store: Store
    server: int | None
    """PostgreSQL's process."""


# ---------------------------------------------------------------------------------------------- the jobs


def note(job: Job, data_dir: Path, emit: Emit, cancelled: Callable[[], bool]) -> Mapping[str, Any]:
    """Write down the start; with `hold`, last until the file `release` is there."""
    started_us = time.time_ns() // 1000
    with (data_dir.parent / "starts").open("a") as starts:
        starts.write(f"{job.job_id} {started_us} {os.getppid()} {data_dir.name}\n")
    while job.params.get("hold") and not (data_dir.parent / "release").exists():
        time.sleep(0.02)
    return {"started_us": started_us}


HANDLERS = dict.fromkeys(JobKind, note)


def starts_of(place: Place, job_id: str) -> list[list[str]]:
    path = place.root / "starts"
    lines = path.read_text().splitlines() if path.exists() else []
    return [line.split() for line in lines if line.startswith(job_id)]


def started(place: Place, job_id: str, times: int, timeout_s: float = TIMEOUT_S) -> list[str] | None:
    """The job's `times`-th start; None if it does not come."""
    deadline = time.monotonic() + timeout_s
    while len(found := starts_of(place, job_id)) < times:
        if time.monotonic() > deadline:
            return None
        time.sleep(0.005)
    return found[-1]


# ---------------------------------------------------------------------------------------------- the databases


@contextmanager
def postgresql() -> Iterator[tuple[str, int]]:
    """A server of our own on a Unix socket: its URL and process id."""
    found = shutil.which("initdb")
    binaries = Path(found).parent if found else max(Path("/usr/lib/postgresql").glob("*/bin"))
    folder = Path(tempfile.mkdtemp(prefix="tribrid-pg-"))
    root = os.getuid() == 0  # as which PostgreSQL refuses to run
    if root:
        shutil.chown(folder, "postgres", "postgres")
    drop = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if root else []
    cluster = ["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8"]
    data = f"--pgdata={folder / 'data'}"
    subprocess.run([*drop, str(binaries / "initdb"), data, *cluster], check=True, capture_output=True, cwd=folder)
    options = ["-c", "listen_addresses=", "-c", f"unix_socket_directories={folder}"]
    with (folder / "log").open("wb") as log:
        command = [*drop, str(binaries / "postgres"), "-D", str(folder / "data"), *options]
        server = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
    try:
        while not list(folder.glob(".s.PGSQL.*")) or b"ready to accept" not in (folder / "log").read_bytes():
            time.sleep(0.05)
        yield f"postgresql://postgres@/postgres?host={folder}", server.pid
    finally:
        server.send_signal(signal.SIGQUIT)
        server.wait()
        shutil.rmtree(folder)


@contextmanager
def place_of(database: str, workers: int) -> Iterator[Place]:
    with ExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tribrid-jobs-")))
        url, server = f"sqlite:///{root / 'tribrid.db'}", None
        if database == "postgresql":
            url, server = stack.enter_context(postgresql())
        path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
        env = {**os.environ, "PYTHONPATH": path, "TRIBRID_DATABASE_URL": url}
        folders = [root / f"folder{number}" for number in range(workers)]
        store = Store.open(root / "elsewhere", url)
        for number in range(CORPORA):
            store.corpora.create(f"c{number}", "")
        supervisors = [Supervisor(folder, env, handlers="jobs:HANDLERS") for folder in folders]
        for supervisor in supervisors:
            supervisor.ensure_worker()
            stack.callback(supervisor.stop)
        wait(store, submit(store, JobKind.MINE, "c0", {}).job_id, TIMEOUT_S)
        while not all(supervisor.health().alive for supervisor in supervisors):
            time.sleep(0.05)
        time.sleep(3)  # the spare children come up
        yield Place(root, supervisors, store, server)


# ---------------------------------------------------------------------------------------------- what is measured


def delays_ms(place: Place, count: int) -> list[float]:
    """From the moment of `submit` to the job's first line, every worker idle."""
    found = []
    for number in range(count):
        time.sleep(1.2 + number * 0.037)  # the next spare is ready; and not in step with anybody's poll
        before_us = time.time_ns() // 1000
        job_id = submit(place.store, JobKind.MINE, f"c{number % CORPORA}", {}).job_id
        start = started(place, job_id, 1)
        if start is not None:
            found.append((int(start[1]) - before_us) / 1000)
        wait(place.store, job_id, TIMEOUT_S)
    return found


def jobs_per_s(place: Place, count: int) -> tuple[float, int]:
    """How fast `count` trivial jobs of all corpora go through; how many starts there were too many."""
    begun = time.monotonic()
    ids = [submit(place.store, JobKind.MINE, f"c{number % CORPORA}", {}).job_id for number in range(count)]
    for job_id in ids:
        wait(place.store, job_id, TIMEOUT_S)
    took = time.monotonic() - begun
    return count / took, sum(len(starts_of(place, job_id)) for job_id in ids) - count


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def family(pid: int) -> list[int]:
    """The process and its children."""
    listed = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False)
    return [pid, *map(int, listed.stdout.split())]


def idle_cpu(place: Place, during_s: float) -> tuple[float, float]:
    """Per cent of a core: of a worker with its spare child (the mean), and of PostgreSQL."""
    workers = [pid for one in place.workers if (held := one.health().pid) for pid in family(held)]
    server = family(place.server) if place.server else []
    before = [sum(map(cpu_s, group)) for group in (workers, server)]
    time.sleep(during_s)
    used = [sum(map(cpu_s, group)) - b for group, b in zip((workers, server), before, strict=True)]
    return 100 * used[0] / during_s / len(place.workers), 100 * used[1] / during_s


def resumed_s(place: Place, *, succeeded_by_own: bool, timeout_s: float = TIMEOUT_S) -> float | None:
    """From kill -9 of the worker to the job's next start: by the same folder's next worker, or by another's."""
    (place.root / "release").unlink(missing_ok=True)
    job_id = submit(place.store, JobKind.MINE, "c0", {"hold": True}).job_id
    start = started(place, job_id, 1)
    if start is None:
        return None
    worker, owner = int(start[2]), place.workers[int(start[3].removeprefix("folder"))]
    if not succeeded_by_own:
        # Its supervisor must not start another: as if its machine were gone. A worker that is told to stop gives its
        # jobs back, so it is stopped from the outside first, and killed by the supervisor's own end.
        os.kill(worker, signal.SIGSTOP)
        owner._stopping.set()
    time.sleep(0.3)
    killed = time.time()
    os.kill(worker, signal.SIGKILL)
    again = started(place, job_id, 2, timeout_s)
    (place.root / "release").touch()
    if again is None:
        return None
    wait(place.store, job_id, TIMEOUT_S)
    return int(again[1]) / 1e6 - killed


def p95(values: list[float]) -> float:
    return statistics.quantiles(values, n=20)[-1]


def measure(database: str, workers: int, asked: argparse.Namespace) -> None:
    def tell(what: str, value: str) -> None:
        print(f"| {database} | {workers} | {what} | {value} |", flush=True)

    with place_of(database, workers) as place:
        worker, server = idle_cpu(place, asked.idle_s)
        tell("idle CPU of a worker, % of a core", f"{worker:.2f}")
        if place.server:
            tell("idle CPU of PostgreSQL, % of a core", f"{server:.2f}")
        delays = delays_ms(place, asked.delays)
        tell("submit to start, ms: median / 95 %", f"{statistics.median(delays):.0f} / {p95(delays):.0f}")
        rate, doubled = jobs_per_s(place, asked.jobs)
        tell("trivial jobs a second", f"{rate:.2f}")
        tell("jobs run twice", str(doubled))
        resumed = [resumed_s(place, succeeded_by_own=True) for _ in range(asked.kills)]
        tell("kill -9 to the next start, s: median", f"{statistics.median(r for r in resumed if r is not None):.2f}")
        if workers > 1 and not asked.no_lease:
            taken = resumed_s(place, succeeded_by_own=False, timeout_s=90)
            tell("its machine gone, s", "never (90 s waited)" if taken is None else f"{taken:.1f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--databases", nargs="+", default=["sqlite", "postgresql"])
    parser.add_argument("--workers", nargs="+", type=int, default=[1, 4])
    parser.add_argument("--jobs", type=int, default=48)
    parser.add_argument("--delays", type=int, default=20)
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--idle-s", type=float, default=20)
    parser.add_argument("--no-lease", action="store_true", help="leave out the wait for another machine's lease")
    asked = parser.parse_args()
    print(f"| database | workers | {Path(sys.modules['tribrid'].__path__[0])} | |\n| --- | --- | --- | --- |")
    for database in asked.databases:
        for workers in asked.workers:
            measure(database, workers, asked)


if __name__ == "__main__":
    main()
