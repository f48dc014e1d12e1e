"""The outbox relay: streams each shard's records, in order, to ledger and notify."""
