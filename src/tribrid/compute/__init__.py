"""compute/: work that is done in shards, on more than the thread that asks for it.

shards.py    what there is to call: a function over shards, by processes of this machine or by a Ray cluster
lines.py     who does which shard, what became of it, and what is done again
worker.py    the process at the other end of a line
outcome.py   what came of a shard, wherever it was done
on_ray.py    the worker that hands its shards on to a Ray cluster; the only file that knows Ray
"""
