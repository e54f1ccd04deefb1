"""What leaves the house: every answer as a type that the library returns, the API declares and all renderers read.

answer.py       what every answer is, and how a time is written
costs.py        what a job costs
changes.py      a measured change and what hangs on it: parts of the queries, corpora, the verdict
calibration.py  what a score means
report.py       the evaluation report, its rows, and the list of reports
difference.py   what differs between two reports, and between two trainings
readiness.py    whether there is enough data to train on, and to decide on
"""
