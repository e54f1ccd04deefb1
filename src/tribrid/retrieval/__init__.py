"""First-stage retrieval: BM25 and dense legs over one index of passages, fused into ranked documents."""
