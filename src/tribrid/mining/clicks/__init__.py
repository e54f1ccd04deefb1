"""mining/clicks/: from a log to labels.

lists.py reads many lists at once, evidence.py one; feedback.py says what acts on one document are worth. voters.py says
who is behind a log, ballots.py leaves one vote to each, reformulations.py finds queries asked again in other words,
counts.py counts a whole log, model.py estimates how likely each rank is to be looked at, support.py counts the clients
behind each label and neighbours.py finds queries that are alike, verdicts.py weighs all of it, groups.py and labels.py
keep what came of it.
"""
