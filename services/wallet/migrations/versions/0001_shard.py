"""Create a shard: balances, wallets, transactions, keys, legs, and the chained outbox.

What each table is for, and why it looks as it does: docs/decisions/0003-shard-layout.md. Partitions
are made ahead by wallet.store.partitions, which ``migrate`` runs right after this; here each table
starts with its first one.
"""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_CURRENCY = "VARCHAR(12) CHARACTER SET ascii COLLATE ascii_bin NOT NULL"
_LOWEST_ID = "x'00000000000000000000000000000001'"

_TABLES = {
    "slots": """
        slot SMALLINT UNSIGNED NOT NULL, state TINYINT UNSIGNED NOT NULL,
        epoch BIGINT UNSIGNED NOT NULL,
        PRIMARY KEY(slot)""",
    "balances": f"""
        wallet_id BINARY(16) NOT NULL, slot SMALLINT UNSIGNED NOT NULL, currency {_CURRENCY},
        posted BIGINT NOT NULL, held BIGINT NOT NULL, overdraft_limit BIGINT NOT NULL,
        status TINYINT UNSIGNED NOT NULL, version BIGINT UNSIGNED NOT NULL,
        PRIMARY KEY(wallet_id),
        CONSTRAINT balances_parts CHECK (held>=0 AND overdraft_limit>=0),
        CONSTRAINT balances_available CHECK (posted-held+overdraft_limit>=0)""",
    "wallets": f"""
        wallet_id BINARY(16) NOT NULL, slot SMALLINT UNSIGNED NOT NULL,
        account_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL, currency {_CURRENCY},
        created_at DATETIME(6) NOT NULL, opaque VARBINARY(4200) NOT NULL,
        PRIMARY KEY(wallet_id), KEY wallets_by_account(account_id,wallet_id)""",
    "transactions": f"""
        tx_id BINARY(16) NOT NULL, slot SMALLINT UNSIGNED NOT NULL,
        type TINYINT UNSIGNED NOT NULL, state TINYINT UNSIGNED NOT NULL,
        source BINARY(16) NOT NULL, destination BINARY(16) NOT NULL,
        currency {_CURRENCY}, amount BIGINT NOT NULL, created_at DATETIME(6) NOT NULL,
        reference VARBINARY(64) NOT NULL, opaque VARBINARY(4200) NOT NULL,
        PRIMARY KEY(tx_id), CONSTRAINT transactions_amount CHECK (amount>0)""",
    "idem": """
        key_hash BINARY(16) NOT NULL, day SMALLINT UNSIGNED NOT NULL,
        slot SMALLINT UNSIGNED NOT NULL, ref BINARY(16) NOT NULL,
        PRIMARY KEY(key_hash,day)""",
    "outcomes": """
        ref BINARY(16) NOT NULL, slot SMALLINT UNSIGNED NOT NULL, fingerprint BINARY(33) NOT NULL,
        outcome VARBINARY(1024) NOT NULL,
        PRIMARY KEY(ref)""",
    "intents": f"""
        tx_id BINARY(16) NOT NULL, leg TINYINT UNSIGNED NOT NULL, slot SMALLINT UNSIGNED NOT NULL,
        source BINARY(16) NOT NULL, destination BINARY(16) NOT NULL,
        currency {_CURRENCY}, amount BIGINT NOT NULL,
        PRIMARY KEY(tx_id,leg), CONSTRAINT intents_amount CHECK (amount>0)""",
    "inbox": """
        tx_id BINARY(16) NOT NULL, leg TINYINT UNSIGNED NOT NULL, slot SMALLINT UNSIGNED NOT NULL,
        result TINYINT UNSIGNED NOT NULL,
        PRIMARY KEY(tx_id,leg)""",
    "system_wallets": f"""
        kind TINYINT UNSIGNED NOT NULL, currency {_CURRENCY}, posted DECIMAL(38,0) NOT NULL,
        PRIMARY KEY(kind,currency)""",
    "head": """
        id TINYINT NOT NULL, shard SMALLINT UNSIGNED NOT NULL, seq BIGINT UNSIGNED NOT NULL,
        prev_hash BINARY(32) NOT NULL, hash BINARY(32) NOT NULL, epoch BIGINT UNSIGNED NOT NULL,
        clock_us BIGINT NOT NULL,
        PRIMARY KEY(id)""",
    "fence": "x TINYINT NOT NULL PRIMARY KEY",
    "outbox": """
        seq BIGINT UNSIGNED NOT NULL PRIMARY KEY, prev_hash BINARY(32) NOT NULL,
        hash BINARY(32) NOT NULL, payload LONGBLOB NOT NULL""",
}

_PARTITIONS = {
    "transactions": f"RANGE COLUMNS(tx_id) (PARTITION p0 VALUES LESS THAN ({_LOWEST_ID}))",
    "idem": "RANGE(day) (PARTITION p0 VALUES LESS THAN (1))",
    "outcomes": f"RANGE COLUMNS(ref) (PARTITION p0 VALUES LESS THAN ({_LOWEST_ID}))",
}


def upgrade() -> None:
    """Create every table, and the one row that `fence` always holds."""
    for name, columns in _TABLES.items():
        partitions = f" PARTITION BY {_PARTITIONS[name]}" if name in _PARTITIONS else ""
        op.execute(f"CREATE TABLE IF NOT EXISTS {name}({columns}) ENGINE=InnoDB{partitions}")
    op.execute("INSERT IGNORE INTO fence VALUES (1)")


def downgrade() -> None:
    """Drop every table: the shard's money is gone with them."""
    for name in reversed(_TABLES):
        op.execute(f"DROP TABLE IF EXISTS {name}")
