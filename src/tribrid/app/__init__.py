"""The library: one object with the eight verbs, on one data folder. The HTTP API and the command line are thin
layers over it, so all three say the same.

    from tribrid.app import Tribrid

    with Tribrid() as tribrid:
        tribrid.create_corpus("notes")
        tribrid.index_path("notes", "~/notes")
        tribrid.search("notes", "how do I renew the certificate")

facade.py holds the object, and the verbs of search. The others stand by subject: content.py and evalsets.py (what goes
in), learning.py (mine, train, evaluate), registry.py (models), reports.py, experiments.py, rerank.py, erasure.py,
access.py (keys), retention.py, doctor.py.
"""

from tribrid.app.facade import Tribrid

__all__ = ["Tribrid"]
