"""The tables as SQLAlchemy sees them. The migrations make them; a test compares both."""

from sqlalchemy import BLOB, Column, LargeBinary, MetaData, String, Table
from sqlalchemy.dialects.mysql import DATETIME

metadata = MetaData()

api_keys = Table(
    "api_keys",
    metadata,
    Column("key_id", LargeBinary(16), primary_key=True),
    Column("kind", String(8), nullable=False),
    Column("client_id", String(64), nullable=False),
    # Space-separated.
    Column("roles", String(128), nullable=False),
    Column("account_id", String(64), nullable=False),
    # A bearer key's: SHA-256 of the secret. A signing key's: the secret, sealed.
    Column("current_secret", LargeBinary(64), nullable=False),
    Column("previous_secret", LargeBinary(64)),
    Column("previous_until", DATETIME(fsp=6)),
    Column("expires_at", DATETIME(fsp=6)),
    Column("created_at", DATETIME(fsp=6), nullable=False),
    Column("revoked_at", DATETIME(fsp=6)),
    # Written now and then, without an event: no decision follows from it.
    Column("last_used_at", DATETIME(fsp=6)),
)

key_events = Table(
    "key_events",
    metadata,
    Column("event_id", LargeBinary(16), primary_key=True),
    Column("key_id", LargeBinary(16), nullable=False),
    Column("action", String(16), nullable=False),
    Column("actor", String(255), nullable=False),
    Column("reason", String(256), nullable=False),
    Column("request_id", String(64), nullable=False),
    # JSON of what is public of the key; none before it was made.
    Column("before_state", BLOB),
    Column("after_state", BLOB, nullable=False),
    Column("created_at", DATETIME(fsp=6), nullable=False),
)
