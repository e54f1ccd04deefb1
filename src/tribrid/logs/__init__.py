"""logs/: search logs from elsewhere, read, joined, and stored as impressions and feedback.

forms       forms.py tells them apart; records.py reads UBI and native records, clicks.py clicks alone
join        staging.py keeps the records; join.py joins them by query_id
at once     plain.py: UBI lines that leave no doubt, and bulk.py: their lists as segments
import      importing.py; reconstruction.py where a log holds clicks alone; tally.py counts, causes.py finds faults
elsewhere   pulled.py: what an engine's own log is to an import
"""
