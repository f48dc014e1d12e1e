"""Add the log of admin actions. The code only ever inserts into it.

Records that came in before have no events: nothing is to be filled in.
"""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

# One row for each event of the records; n is its place there. Texts are bytes: they are compared as
# they came. State: canonical JSON of what the action may change, see ledger.domain.auditing.
_COLUMNS = """
    shard SMALLINT UNSIGNED NOT NULL, seq BIGINT UNSIGNED NOT NULL, n MEDIUMINT UNSIGNED NOT NULL,
    time_us BIGINT NOT NULL, action TINYINT UNSIGNED NOT NULL,
    actor VARBINARY(255) NOT NULL, reason VARBINARY(256) NOT NULL,
    request_id VARBINARY(64) NOT NULL,
    account_id VARBINARY(64) NOT NULL, currency VARBINARY(12) NOT NULL,
    wallet_id BINARY(16) NOT NULL, tx_id BINARY(16) NOT NULL, original_id BINARY(16) NOT NULL,
    state_before BLOB NOT NULL, state_after BLOB NOT NULL,
    PRIMARY KEY(shard,seq,n),
    KEY by_time(time_us,shard,seq,n),
    KEY by_wallet(wallet_id,time_us,shard,seq,n),
    KEY by_account(account_id,time_us,shard,seq,n),
    KEY by_actor(actor,time_us,shard,seq,n),
    KEY by_action(action,time_us,shard,seq,n)"""


def upgrade() -> None:
    """Create the table."""
    op.execute(f"CREATE TABLE IF NOT EXISTS audit_events({_COLUMNS}) ENGINE=InnoDB")


def downgrade() -> None:
    """Drop it: the records keep it all, a rebuilt ledger finds it there."""
    op.execute("DROP TABLE IF EXISTS audit_events")
