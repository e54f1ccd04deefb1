"""Scores for (query, passage) pairs: one file a backend, and the encoding that training and serving share.

seam       scorer.py: what every backend looks like; budget.py, fallbacks.py: how long it may take, and when it failed
learned    learned.py: the blend (blend.py, an ONNX graph) over features.py, tokens.py and memory.py
cross      cross_encoder.py on engine.py, with cache.py; variants.py: which form of it serves; pairs.py cuts its input
services   cloud.py, spoken as dialects.py says; generator.py for language models; both over outbound.py
models     models.py finds and exports them (torch_export.py), onnx.py runs the encoder, loading.py loads once
"""
