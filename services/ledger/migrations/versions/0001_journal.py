"""Create the journal: records, entries, running balances, legs between shards.

Partitions of `entries` are made ahead by ledger.store.partitions, which ``migrate`` runs right
after this.
"""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_CURRENCY = "VARCHAR(12) CHARACTER SET ascii COLLATE ascii_bin NOT NULL"

_TABLES = {
    # What came in, byte for byte.
    "records": """
        shard SMALLINT UNSIGNED NOT NULL, seq BIGINT UNSIGNED NOT NULL,
        prev_hash BINARY(32) NOT NULL, hash BINARY(32) NOT NULL, time_us BIGINT NOT NULL,
        payload LONGBLOB NOT NULL,
        PRIMARY KEY(shard,seq)""",
    # One side of a posting. n: place of the transaction in its record; of a landed leg -1, -2, ….
    "entries": """
        wallet_id BINARY(16) NOT NULL, version BIGINT UNSIGNED NOT NULL,
        day SMALLINT UNSIGNED NOT NULL,
        shard SMALLINT UNSIGNED NOT NULL, seq BIGINT UNSIGNED NOT NULL, n MEDIUMINT NOT NULL,
        number SMALLINT UNSIGNED NOT NULL, tx_id BINARY(16) NOT NULL,
        counterparty BINARY(16) NOT NULL,
        delta BIGINT NOT NULL, balance_after DECIMAL(38,0) NOT NULL, time_us BIGINT NOT NULL,
        PRIMARY KEY(wallet_id,version,day)""",
    # Each wallet after its last entry; time_us is that entry's, and never runs backwards.
    "accounts": f"""
        wallet_id BINARY(16) NOT NULL, shard SMALLINT UNSIGNED NOT NULL, currency {_CURRENCY},
        account_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
        status TINYINT UNSIGNED NOT NULL, posted DECIMAL(38,0) NOT NULL,
        version BIGINT UNSIGNED NOT NULL,
        debit DECIMAL(38,0) NOT NULL, credit DECIMAL(38,0) NOT NULL, time_us BIGINT NOT NULL,
        PRIMARY KEY(wallet_id)""",
    # How far each shard's stream is durable here.
    "cursors": """
        shard SMALLINT UNSIGNED NOT NULL, seq BIGINT UNSIGNED NOT NULL, hash BINARY(32) NOT NULL,
        PRIMARY KEY(shard)""",
    # Everything the records say of legs: side 1 sent, 2 landed, 3 closed. Only ever inserted into,
    # so that the writers of two shards never wait for each other's half of a leg.
    "transit_legs": f"""
        tx_id BINARY(16) NOT NULL, leg TINYINT UNSIGNED NOT NULL, side TINYINT UNSIGNED NOT NULL,
        shard SMALLINT UNSIGNED NOT NULL, seq BIGINT UNSIGNED NOT NULL, n MEDIUMINT NOT NULL,
        currency {_CURRENCY}, amount BIGINT NOT NULL, destination BINARY(16) NOT NULL,
        result TINYINT UNSIGNED NOT NULL,
        PRIMARY KEY(tx_id,leg,side,shard,seq,n)""",
    # Legs that their sender has not closed yet.
    "open_intents": f"""
        shard SMALLINT UNSIGNED NOT NULL, tx_id BINARY(16) NOT NULL, leg TINYINT UNSIGNED NOT NULL,
        currency {_CURRENCY}, amount BIGINT NOT NULL, destination BINARY(16) NOT NULL,
        PRIMARY KEY(shard,leg,tx_id)""",
    # Transactions whose state changed after their record.
    "transaction_states": """
        tx_id BINARY(16) NOT NULL, state TINYINT UNSIGNED NOT NULL,
        PRIMARY KEY(tx_id)""",
}

_PARTITIONS = {"entries": "RANGE(day) (PARTITION p0 VALUES LESS THAN (1))"}


def upgrade() -> None:
    """Create every table."""
    for name, columns in _TABLES.items():
        partitions = f" PARTITION BY {_PARTITIONS[name]}" if name in _PARTITIONS else ""
        op.execute(f"CREATE TABLE IF NOT EXISTS {name}({columns}) ENGINE=InnoDB{partitions}")


def downgrade() -> None:
    """Drop every table: the books are gone with them."""
    for name in reversed(_TABLES):
        op.execute(f"DROP TABLE IF EXISTS {name}")
