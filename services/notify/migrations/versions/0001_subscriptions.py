"""Create subscriptions and dead letters.

Each statement may run again: DDL commits by itself, so a migration can break half way.
"""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_SUBSCRIPTIONS = """
CREATE TABLE IF NOT EXISTS subscriptions (
  subscription_id BINARY(16) NOT NULL,
  url VARCHAR(2048) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  event_types VARCHAR(1024) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  wallet_ids MEDIUMBLOB NOT NULL,
  secret VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  starts MEDIUMBLOB NOT NULL,
  key_hash BINARY(32) NOT NULL,
  fingerprint BINARY(33) NOT NULL,
  created_at DATETIME(6) NOT NULL,
  deleted_at DATETIME(6) NULL,
  PRIMARY KEY (subscription_id),
  UNIQUE KEY subscriptions_key (key_hash),
  KEY subscriptions_deleted (deleted_at)
) ENGINE=InnoDB
"""

_DEAD_LETTERS = """
CREATE TABLE IF NOT EXISTS dead_letters (
  subscription_id BINARY(16) NOT NULL,
  dead_letter_id BINARY(16) NOT NULL,
  event_id VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  event_time_us BIGINT NOT NULL,
  body MEDIUMBLOB NOT NULL,
  attempts INT UNSIGNED NOT NULL,
  last_error VARCHAR(256) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  created_at DATETIME(6) NOT NULL,
  PRIMARY KEY (subscription_id, dead_letter_id),
  UNIQUE KEY dead_letters_event (subscription_id, event_id),
  KEY dead_letters_time (subscription_id, event_time_us),
  KEY dead_letters_created (created_at)
) ENGINE=InnoDB
"""


def upgrade() -> None:
    """Create both tables."""
    op.execute(_SUBSCRIPTIONS)
    op.execute(_DEAD_LETTERS)


def downgrade() -> None:
    """Drop both tables."""
    op.execute("DROP TABLE IF EXISTS dead_letters")
    op.execute("DROP TABLE IF EXISTS subscriptions")
