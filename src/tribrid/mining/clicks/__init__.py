"""mining/clicks/: from a log to labels.

feedback.py says what acts on one document are worth, evidence.py reads one list, counts.py counts a whole log, model.py
estimates how likely each rank is to be looked at, reformulations.py finds queries asked again in other words,
verdicts.py weighs all of it, labels.py keeps what came of it.
"""
