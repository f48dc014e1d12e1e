"""The tables as SQLAlchemy sees them. The migrations make them; a test compares both."""

from sqlalchemy import Column, Integer, LargeBinary, MetaData, String, Table
from sqlalchemy.dialects.mysql import BIGINT, DATETIME, MEDIUMBLOB

metadata = MetaData()

subscriptions = Table(
    "subscriptions",
    metadata,
    Column("subscription_id", LargeBinary(16), primary_key=True),
    Column("url", String(2048), nullable=False),
    # Space-separated; empty for all.
    Column("event_types", String(1024), nullable=False),
    # 16 bytes each; empty for all.
    Column("wallet_ids", MEDIUMBLOB, nullable=False),
    # In clear, since it signs: whoever reads this table can forge webhooks.
    Column("secret", String(128), nullable=False),
    # JSON {shard: seq}.
    Column("starts", MEDIUMBLOB, nullable=False),
    Column("key_hash", LargeBinary(32), nullable=False),
    Column("fingerprint", LargeBinary(33), nullable=False),
    Column("created_at", DATETIME(fsp=6), nullable=False),
    # A deleted one stays for as long as its key is kept, to answer a replay.
    Column("deleted_at", DATETIME(fsp=6)),
)

dead_letters = Table(
    "dead_letters",
    metadata,
    Column("subscription_id", LargeBinary(16), primary_key=True),
    Column("dead_letter_id", LargeBinary(16), primary_key=True),
    Column("event_id", String(128), nullable=False),
    Column("event_time_us", BIGINT, nullable=False),
    # What would have been posted.
    Column("body", MEDIUMBLOB, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("last_error", String(256), nullable=False),
    Column("created_at", DATETIME(fsp=6), nullable=False),
)
