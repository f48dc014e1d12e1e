"""Takes the shards' streams in: verified, in order, once."""
