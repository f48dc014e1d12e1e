"""What alembic runs for the ledger's migrations; ledger.store.bootstrap starts it."""

from walletkit.sql.migrate import run_environment

run_environment()
