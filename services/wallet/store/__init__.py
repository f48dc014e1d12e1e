"""Read and write one shard: SQL and the outbox record. Below the engine, above the domain."""
