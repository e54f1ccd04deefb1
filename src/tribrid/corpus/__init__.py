"""Files and records become documents, documents become passages. Pure parsing: no store, no index, no clock."""
