"""mining/clicks/: from a log to labels.

voters.py says who is behind a log, ballots.py leaves one vote to each, feedback.py says what acts on one document are
worth, evidence.py reads one list, counts.py counts a whole log, model.py estimates how likely each rank is to be looked
at, reformulations.py finds queries asked again in other words, support.py counts the clients behind each label and
neighbours.py finds queries that are alike, verdicts.py weighs all of it, labels.py keeps what came of it.
"""
