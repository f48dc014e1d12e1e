"""What alembic runs for notify's migrations; notify.store.bootstrap starts it."""

from walletkit.sql.migrate import run_environment

run_environment()
