"""The outbox relay: streams each shard's records, in order, to ledger and notify.

``outbox`` speaks SQL, ``tail`` keeps what is newest, ``sinks`` speaks gRPC, ``feed`` brings one
shard to one sink, ``purge`` deletes what all sinks have, ``process`` runs them all.
"""
