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
comparing.py  compare, which needs no data folder; nor does reranker.py, a model by itself
also          notebook.py, rerank.py, feedback.py, status.py, doctor.py, export.py, lineage.py, erasure.py, retention.py
"""

from tribrid.app import notebook as notebook  # tells answers how a notebook shows them
from tribrid.app.comparing import compare
from tribrid.app.reranker import Reranker
from tribrid.app.tribrid import Tribrid

__all__ = ["Reranker", "Tribrid", "compare"]
