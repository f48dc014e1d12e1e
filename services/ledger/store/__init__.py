"""The only room with SQL: the ledger's own database."""
