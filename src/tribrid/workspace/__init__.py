"""workspace/: what is open on a data folder.

data_folder.py    store, settings, encoders, models, indexes: opened once, kept
corpus.py         one corpus for one call: its settings, index, retriever, champion and scorer, each resolved once
fallbacks.py      searches that a reranker should have ranked and did not
"""
