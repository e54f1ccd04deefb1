"""The library: a data folder, and in it corpora with the verbs of the loop. The HTTP API and the command line are thin
layers over it, so all three say the same.

    from tribrid import Tribrid

    with Tribrid() as tribrid:
        notes = tribrid.create_corpus("notes")
        notes.documents.add_path("~/notes")
        notes.search("how do I renew the certificate")

tribrid.py    the data folder: corpora, settings, keys, and what has an id of its own (jobs, models, evaluations)
corpus.py     one corpus: search, promote, erase …; learning.py: mine, train, evaluate as jobs
subjects      documents, judgments, evalsets, logs, experiments, triplets, models, evaluations, jobs, keys, settings
also          rerank.py, feedback.py, status.py, doctor.py, export.py, lineage.py, erasure.py, retention.py
"""

from tribrid.app.tribrid import Tribrid

__all__ = ["Tribrid"]
