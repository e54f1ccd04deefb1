"""loop/: index → search → log → mine → train → evaluate → promote → serve. A file a verb: it loads, calls, saves.

What decides anything is in the folders below (mining, training, evaluation, retrieval) and knows nothing of
databases or files. `mine`, `train` and `evaluate` run as jobs, in a process of their own: see handlers.py.
"""
