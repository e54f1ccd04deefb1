"""Is B better than A, by how much, and may B go live? Pure: runs and judgments in, numbers and reasons out."""
