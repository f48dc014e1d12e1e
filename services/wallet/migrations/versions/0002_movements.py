"""Add holds, several postings, reversals, limits, freezes of accounts, aliases and assets.

What each table is for, and why it looks as it does: docs/decisions/0003-shard-layout.md. Rows that
are there already take the defaults: no limits, no alias, one leg.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_CURRENCY = "VARCHAR(12) CHARACTER SET ascii COLLATE ascii_bin NOT NULL"
_ACCOUNT = "VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL"
_SLOT = "slot SMALLINT UNSIGNED NOT NULL"

_TABLES = {
    # `open_until` is `expires_at` while the hold is open, and NULL once it has ended: the sweep
    # for what is over reads the beginning of a key in which nothing else is.
    "holds": f"""
        hold_id BINARY(16) NOT NULL, {_SLOT}, wallet_id BINARY(16) NOT NULL, currency {_CURRENCY},
        destination BINARY(16) NOT NULL, state TINYINT UNSIGNED NOT NULL,
        authorized BIGINT NOT NULL, captured BIGINT NOT NULL, released BIGINT NOT NULL,
        expires_at DATETIME(6) NOT NULL, open_until DATETIME(6) NULL,
        created_at DATETIME(6) NOT NULL,
        reference VARBINARY(64) NOT NULL, opaque VARBINARY(4200) NOT NULL,
        PRIMARY KEY(hold_id), KEY holds_open(open_until,hold_id),
        KEY holds_by_wallet(wallet_id,hold_id),
        CONSTRAINT holds_parts CHECK (authorized>=0 AND captured>=0 AND released>=0),
        CONSTRAINT holds_whole CHECK (captured+released<=authorized)""",
    "links": f"""
        tx_id BINARY(16) NOT NULL, {_SLOT}, parent BINARY(16) NOT NULL, family BINARY(16) NOT NULL,
        PRIMARY KEY(tx_id)""",
    # LINES is a reserved word in both engines.
    "tx_lines": f"""
        tx_id BINARY(16) NOT NULL, n TINYINT UNSIGNED NOT NULL, {_SLOT},
        source BINARY(16) NOT NULL, destination BINARY(16) NOT NULL,
        currency {_CURRENCY}, amount BIGINT NOT NULL,
        PRIMARY KEY(tx_id,n), CONSTRAINT tx_lines_amount CHECK (amount>0)""",
    "reversed": f"""
        tx_id BINARY(16) NOT NULL, {_SLOT}, amount BIGINT NOT NULL,
        PRIMARY KEY(tx_id), CONSTRAINT reversed_amount CHECK (amount>0)""",
    "limits": f"""
        owner BINARY(16) NOT NULL, {_SLOT}, config VARBINARY(2048) NOT NULL,
        held BIGINT NOT NULL, used VARBINARY(200) NOT NULL,
        PRIMARY KEY(owner), CONSTRAINT limits_held CHECK (held>=0)""",
    "accounts": f"""
        account_id {_ACCOUNT}, {_SLOT}, freeze TINYINT UNSIGNED NOT NULL,
        PRIMARY KEY(account_id)""",
    "aliases": f"""
        account_id {_ACCOUNT}, name VARBINARY(64) NOT NULL, {_SLOT},
        wallet_id BINARY(16) NOT NULL,
        PRIMARY KEY(account_id,name)""",
    "assets": f"""
        currency {_CURRENCY}, exponent TINYINT UNSIGNED NOT NULL, {_SLOT},
        PRIMARY KEY(currency)""",
}

_COLUMNS = {
    ("balances", "flags"): "TINYINT UNSIGNED NOT NULL DEFAULT 0",
    ("wallets", "alias"): "VARBINARY(64) NOT NULL DEFAULT ''",
    ("intents", "legs"): "TINYINT UNSIGNED NOT NULL DEFAULT 1",
}

_OUTCOME = "VARBINARY(1024) NOT NULL"
_WIDE_OUTCOME = "VARBINARY(16384) NOT NULL"
"""A transaction of a hundred postings keeps the balances of up to two hundred wallets."""


def upgrade() -> None:
    """Create the tables, add the columns, and give outcomes more room."""
    for name, columns in _TABLES.items():
        op.execute(f"CREATE TABLE IF NOT EXISTS {name}({columns}) ENGINE=InnoDB")
    for (table, column), definition in _COLUMNS.items():
        # DDL commits by itself: what an interrupted run has done is left alone.
        if not _exists(table, column):
            op.execute(f"ALTER TABLE {table} ADD COLUMN {column} {definition}")
    op.execute(f"ALTER TABLE outcomes MODIFY outcome {_WIDE_OUTCOME}")


def downgrade() -> None:
    """Take all of it away; longer outcomes than there was room for stop it before."""
    op.execute(f"ALTER TABLE outcomes MODIFY outcome {_OUTCOME}")
    for table, column in _COLUMNS:
        if _exists(table, column):
            op.execute(f"ALTER TABLE {table} DROP COLUMN {column}")
    for name in reversed(_TABLES):
        op.execute(f"DROP TABLE IF EXISTS {name}")


def _exists(table: str, column: str) -> bool:
    found = sa.text(
        "SELECT COUNT(*) FROM information_schema.columns"
        " WHERE table_schema=DATABASE() AND table_name=:t AND column_name=:c"
    )
    return bool(op.get_bind().scalar(found, {"t": table, "c": column}))
