"""Is B better than A, by how much, and may B go live? Pure: runs and judgments in, numbers and reasons out.

measure   arms.py runs systems on frozen candidates, measures.py measures, comparison.py compares; slices, consistency
decide    gate.py, on what leakage.py and proof.py know of the eval dataset; soundness.py and readiness.py ask before
tell      report.py puts it together of inputs.py with notes.py, calibration.py, moves.py and learning_curve.py;
          difference.py compares two. The types are in answers/, the page and the XML in report/
live      interleaving.py mixes two rankings, ab.py splits clients between them, sequential.py decides, forecast.py says
          when it would; alerts.py compares one scheduled evaluation with the next
"""
