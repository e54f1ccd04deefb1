"""Files and records become documents, documents become passages. Pure parsing: no store, no index, no clock.

documents   files.py, markup.py and code.py from folders, records.py from NDJSON, inline.py from rerank calls; cut by
            passages.py
judgments   formats.py (qrels, BEIR), evalfiles.py (JSONL, TREC topics, Quepid), runfiles.py (other engines' runs)
words       lexical.py, terms.py, stemming.py: as BM25 and the duplicate filter see them
"""
