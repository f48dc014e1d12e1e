"""Take a backup of one database, and bring it back to a moment: dump, manifest, binlogs.

``take`` dumps, ``restore`` loads and replays, ``admit`` lets a restored shard serve again. Each
works on one database by its URL; ``python -m walletkit.backup`` runs them. docs/backup.md.
"""
