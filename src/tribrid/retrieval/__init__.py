"""First-stage retrieval: BM25 and dense legs over one index of passages, fused into ranked documents.

search.py asks both legs and fusion.py joins them. index.py is what readers see, made by indexer.py through writer.py
and publication.py; lance.py alone knows Lance. outside.py and weights.py score passages that came with a request.
"""
