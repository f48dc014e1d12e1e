"""Create API keys and the log of what was done to them.

Each statement may run again: DDL commits by itself, so a migration can break half way.
"""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_KEYS = """
CREATE TABLE IF NOT EXISTS api_keys (
  key_id BINARY(16) NOT NULL,
  kind VARCHAR(8) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  client_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  roles VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  account_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  current_secret VARBINARY(64) NOT NULL,
  previous_secret VARBINARY(64) NULL,
  previous_until DATETIME(6) NULL,
  expires_at DATETIME(6) NULL,
  created_at DATETIME(6) NOT NULL,
  revoked_at DATETIME(6) NULL,
  last_used_at DATETIME(6) NULL,
  PRIMARY KEY (key_id),
  KEY api_keys_client (client_id, key_id),
  CONSTRAINT api_keys_kind CHECK (kind IN ('bearer', 'signing')),
  CONSTRAINT api_keys_overlap CHECK ((previous_secret IS NULL) = (previous_until IS NULL))
) ENGINE=InnoDB
"""

_EVENTS = """
CREATE TABLE IF NOT EXISTS key_events (
  event_id BINARY(16) NOT NULL,
  key_id BINARY(16) NOT NULL,
  action VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  actor VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  reason VARCHAR(256) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  request_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  before_state BLOB NULL,
  after_state BLOB NOT NULL,
  created_at DATETIME(6) NOT NULL,
  PRIMARY KEY (event_id),
  KEY key_events_key (key_id, event_id)
) ENGINE=InnoDB
"""


def upgrade() -> None:
    """Create both tables."""
    op.execute(_KEYS)
    op.execute(_EVENTS)


def downgrade() -> None:
    """Drop both tables."""
    op.execute("DROP TABLE IF EXISTS key_events")
    op.execute("DROP TABLE IF EXISTS api_keys")
