"""Other engines' records as documents: what is in a table, an index or a collection, by a mapping. It reads, and writes
nothing there.

source.py     which engine an address is of, and whether it may be asked
mapping.py    a record to a document's fields; pulled.py: both together
postgres.py   a table or a query, by psycopg
elastic.py    an index of OpenSearch or Elasticsearch; qdrant.py a collection; both by http.py
"""
