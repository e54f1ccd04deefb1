"""Files and records become documents, documents become passages. Pure parsing: no store, no index, no clock.

documents   files.py from folders, records.py from NDJSON, inline.py from rerank calls; cut by passages.py
files       readers.py chooses among pdf.py, webpages.py, office.py, markdown.py and restructured.py, which give
            contents.py, with charsets.py; confined.py does it in a process that can be ended. code.py: the functions of
            Python source
judgments   formats.py (qrels, BEIR), evalfiles.py (JSONL, TREC topics, Quepid), runfiles.py (other engines' runs)
words       lexical.py, terms.py, stemming.py: as BM25 and the duplicate filter see them
"""
