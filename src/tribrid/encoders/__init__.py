"""encoders/: models that read text. They know nothing of search, of training, or of who asks.

models      models.py finds them and has them exported (torch_export.py); loading.py loads each once
encoder     onnx.py runs it, turns.py on a few threads; tokens.py: vectors of passages and queries; text_cache.py,
            token_cache.py keep some
cross       cross_encoder.py on engine.py, with score_cache.py; pairs.py cuts its input; variants.py: which form serves
time        budget.py: how long reading may take
"""
