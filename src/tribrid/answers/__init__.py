"""What leaves the house: every answer as a type that the library returns, the API declares and all renderers read.

answer.py       what every answer is, and how a time is written
costs.py        what a job costs
changes.py      a measured change and what hangs on it: parts of the queries, corpora, the verdict
calibration.py  what a score means
report.py       the evaluation report, its rows, and the list of reports
difference.py   what differs between two reports, and between two trainings
search.py       what a search shows, and the answer to feedback
corpora.py      a corpus and its size
documents.py    a document, and what became of an upload
judgments.py    judged queries to train from
evalsets.py     eval datasets and their versions
nextlabels.py   which labels are worth most
logs.py         what became of an import of logs, and how much was logged
erasures.py     what was erased, and who had used it
settings.py     every setting with where its value came from
keys.py         API keys
health.py       whether the server is up
readiness.py    whether there is enough data to train on, and to decide on
"""
