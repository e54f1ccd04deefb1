"""logs/: search logs from elsewhere, read, joined, and stored as impressions and feedback.

forms       forms.py tells them apart; records.py reads UBI and native records, clicks.py clicks alone
join        join.py: records by query_id, packed (packing.py) and sorted on disk (sorting.py)
import      importing.py; reconstruction.py where a log holds clicks alone; tally.py counts, causes.py finds faults
elsewhere   pulled.py: what an engine's own log is to an import
"""
