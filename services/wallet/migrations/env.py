"""What alembic runs for a shard's migrations; wallet.store.bootstrap starts it."""

from walletkit.sql.migrate import run_environment

run_environment()
