"""The outbox relay: streams each shard's records, in order, to ledger and notify.

``outbox`` reads SQL, ``tail`` keeps what is newest, ``sinks`` speaks gRPC, ``feed`` brings one
shard to one sink, ``process`` runs them all.
"""
