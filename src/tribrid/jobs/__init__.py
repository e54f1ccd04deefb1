"""Long work that outlives the process that asked for it: submit a job, wait for it, cancel it.

The job's row in the store is the queue: a worker claims it under a lease (store/jobs.py), so that what was submitted
is run once, in order, whatever is killed in between and however many workers share the database. Each job runs in a
process of its own (child.py), started by the one worker of a data folder (worker.py), which a supervisor keeps alive
(supervisor.py). The worker also queues the evaluations that run by themselves (scheduling.py), and keeps the log no
longer than it may (pruning.py).
"""

from tribrid.jobs.queue import cancel, submit
from tribrid.jobs.supervisor import Supervisor, WorkerHealth, worker_for
from tribrid.jobs.wait import wait

__all__ = ["Supervisor", "WorkerHealth", "cancel", "submit", "wait", "worker_for"]
