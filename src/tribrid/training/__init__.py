"""From triplets to a reranker: the blend (seconds), the cross-encoder (minutes), and the choice between them."""
