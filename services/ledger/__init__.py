"""The ledger service.

Keeps every record of every shard as double-entry books, and proves the wallets right.
"""
