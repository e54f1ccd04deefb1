"""scoring/: the learned ranker, and what every reranker looks like to search and to evaluation.

seam        scorer.py: every backend; calibration.py: scores as probabilities; fallbacks.py: when one failed
learned     learned.py: the blend (blend.py, an ONNX graph) over features.py and memory.py
"""
