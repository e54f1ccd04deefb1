"""Scores for (query, passage) pairs: one file a backend, and the encoding that training and serving share."""
