"""Add what holds, limits, freezes, effective times, references and assets need.

Rows that are there already take the defaults: nothing held, nothing frozen, no credit line.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_CURRENCY = "VARCHAR(12) CHARACTER SET ascii COLLATE ascii_bin NOT NULL"

_TABLES = {
    # One row a hold, as it is now. The key finds a shard's open ones among all that have ended.
    "holds": f"""
        hold_id BINARY(16) NOT NULL, shard SMALLINT UNSIGNED NOT NULL,
        wallet_id BINARY(16) NOT NULL, currency {_CURRENCY}, state TINYINT UNSIGNED NOT NULL,
        authorized BIGINT NOT NULL, captured BIGINT NOT NULL, released BIGINT NOT NULL,
        expire_time_us BIGINT NOT NULL,
        PRIMARY KEY(hold_id), KEY holds_by_state(shard,state,hold_id)""",
    # Every change of a hold, so that it can be told how the hold was at any seq. Versions are
    # those of its wallet.
    "hold_changes": """
        hold_id BINARY(16) NOT NULL, version BIGINT UNSIGNED NOT NULL,
        shard SMALLINT UNSIGNED NOT NULL, seq BIGINT UNSIGNED NOT NULL,
        kind TINYINT UNSIGNED NOT NULL, state TINYINT UNSIGNED NOT NULL,
        authorized BIGINT NOT NULL, captured BIGINT NOT NULL, released BIGINT NOT NULL,
        expire_time_us BIGINT NOT NULL,
        PRIMARY KEY(hold_id,version)""",
    # Entries that count at another time than they were recorded; of all others there is no row.
    "effective_entries": """
        wallet_id BINARY(16) NOT NULL, effective_us BIGINT NOT NULL,
        version BIGINT UNSIGNED NOT NULL, delta BIGINT NOT NULL, time_us BIGINT NOT NULL,
        shard SMALLINT UNSIGNED NOT NULL, seq BIGINT UNSIGNED NOT NULL,
        PRIMARY KEY(wallet_id,effective_us,version)""",
    # Transactions by what they carry; ledger.domain.label says how a label is made.
    "labels": """
        label BINARY(16) NOT NULL, shard SMALLINT UNSIGNED NOT NULL, seq BIGINT UNSIGNED NOT NULL,
        n MEDIUMINT NOT NULL, tx_id BINARY(16) NOT NULL, time_us BIGINT NOT NULL,
        PRIMARY KEY(label,shard,seq,n)""",
    # Registered assets; one never changes.
    "assets": f"""
        currency {_CURRENCY}, exponent TINYINT UNSIGNED NOT NULL,
        PRIMARY KEY(currency)""",
}

_COLUMNS = {
    "accounts": {
        "held": "BIGINT NOT NULL DEFAULT 0",
        "overdraft_limit": "BIGINT NOT NULL DEFAULT 0",
        "account_freeze": "TINYINT UNSIGNED NOT NULL DEFAULT 0",
    },
    # The type of the transaction; 0 for a landed leg, whose type its home's record has.
    "entries": {"type": "TINYINT UNSIGNED NOT NULL DEFAULT 0"},
}

_OWNER_KEY = "KEY accounts_by_owner(account_id,wallet_id)"


def upgrade() -> None:
    """Create the tables, then add the columns: each table in one statement, or not at all."""
    for name, columns in _TABLES.items():
        op.execute(f"CREATE TABLE IF NOT EXISTS {name}({columns}) ENGINE=InnoDB")
    for table, added in _COLUMNS.items():
        # DDL commits by itself: what an interrupted run has done is left alone.
        if not added.keys() & _columns_of(table):
            parts = [f"ADD COLUMN {name} {definition}" for name, definition in added.items()]
            if table == "accounts":
                parts.append(f"ADD {_OWNER_KEY}")
            op.execute(f"ALTER TABLE {table} {', '.join(parts)}")


def downgrade() -> None:
    """Take everything back: the records keep it all, a rebuilt ledger finds it there."""
    for table, added in _COLUMNS.items():
        if added.keys() & _columns_of(table):
            parts = [f"DROP COLUMN {name}" for name in added]
            if table == "accounts":
                parts.append("DROP KEY accounts_by_owner")
            op.execute(f"ALTER TABLE {table} {', '.join(parts)}")
    for name in reversed(_TABLES):
        op.execute(f"DROP TABLE IF EXISTS {name}")


def _columns_of(table: str) -> set[str]:
    return {column["name"] for column in sa.inspect(op.get_bind()).get_columns(table)}
