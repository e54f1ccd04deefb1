"""Mining: from what users did, what judges said and what documents ask, to weighted training triplets.

mine.py is the way through. Labels come from logs (clicks/), from judgments.py, heuristics.py and generated.py. Which
documents may be negatives: negatives.py, by margin.py, families.py, conflicts.py and what people decided (reviews.py).
What may not be mined at all: splits.py and contamination.py keep the eval dataset's queries out.
"""
