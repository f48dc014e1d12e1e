"""What alembic runs for edge's migrations; edge.store.bootstrap starts it."""

from walletkit.sql.migrate import run_environment

run_environment()
