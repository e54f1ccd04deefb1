"""The HTTP edge: thin routes over `tribrid.app.Tribrid`, and nothing else.

A handler reads a request, calls one method of the facade and answers with what it returns. Handlers are plain `def`
and run in threads; only what streams is `async`. What every route shares stands in files of its own: limits.py (how a
body is read), problems.py (how an error looks), waiting.py (answers that take minutes), metrics_stream.py (a run's
events as they come), auth.py (who may call), edge.py (ids, clocks and counters around each request).
"""

from tribrid.api.server import create_app, serve

__all__ = ["create_app", "serve"]
