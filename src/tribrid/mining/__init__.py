"""Mining: from what users did, what judges said and what documents ask, to weighted training triplets."""
