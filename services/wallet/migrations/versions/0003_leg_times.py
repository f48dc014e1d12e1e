"""Let a credit on its way to another shard say when it counts.

Why it travels with the credit: docs/decisions/0012-lists.md. Rows that are there already take the
default: they count when they land.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column."""
    # DDL commits by itself: what an interrupted run has done is left alone.
    if not _exists():
        op.execute("ALTER TABLE intents ADD COLUMN effective_us BIGINT NOT NULL DEFAULT 0")


def downgrade() -> None:
    """Take it away; what is on its way by then counts when it lands."""
    if _exists():
        op.execute("ALTER TABLE intents DROP COLUMN effective_us")


def _exists() -> bool:
    found = sa.text(
        "SELECT COUNT(*) FROM information_schema.columns WHERE table_schema=DATABASE()"
        " AND table_name='intents' AND column_name='effective_us'"
    )
    return bool(op.get_bind().scalar(found))
