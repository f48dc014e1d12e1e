"""Name the keys in Redis.

All carry one hash tag, so that a script may touch any of them in a cluster too.

For each shard:

- ``records:<shard>`` stream: a record as it came (field ``p``: payload) under the id ``<seq>-0``;
  trimmed from the
  old end to the settings' number of records and bytes.
- ``head:<shard>`` hash: ``seq`` and ``hash`` of the last record, ``bytes`` that the stream holds.
- ``sent:<shard>`` number: up to this record every subscription's deliveries are queued, but for
  those that lag.
- ``lag:<shard>`` hash: subscription (hex) -> the record behind which it goes on, as its queue was
  full.

For each subscription (hex):

- ``due:<id>`` sorted set: event id -> when its delivery is due, ms; while one is tried, when it
  counts as lost.
- ``body:<id>`` hash: event id -> what is posted.
- ``tries:<id>`` hash: event id -> failed tries, a line feed, the last error; absent before the
  first failure.

Over all: ``shards`` set of shard numbers; ``wake`` sorted set: subscription -> its earliest due
time; ``generation`` counts changes of the subscriptions, so that no process queues by an old list.
"""

_TAG = "{guilder-notify}:"

SHARDS = f"{_TAG}shards"
WAKE = f"{_TAG}wake"
GENERATION = f"{_TAG}generation"
DUE_PREFIX = f"{_TAG}due:"
BODY_PREFIX = f"{_TAG}body:"
TRIES_PREFIX = f"{_TAG}tries:"
LAG_PREFIX = f"{_TAG}lag:"


def records(shard: int) -> str:
    """Name the stream of a shard's records."""
    return f"{_TAG}records:{shard}"


def head(shard: int) -> str:
    """Name the hash with the place of the last record."""
    return f"{_TAG}head:{shard}"


def sent(shard: int) -> str:
    """Name the number of the last record whose deliveries are queued."""
    return f"{_TAG}sent:{shard}"


def lag(shard: int) -> str:
    """Name the hash of subscriptions that lag."""
    return f"{LAG_PREFIX}{shard}"


def due(subscription: str) -> str:
    """Name the queue of a subscription."""
    return f"{DUE_PREFIX}{subscription}"


def body(subscription: str) -> str:
    """Name the bodies of what a subscription's queue holds."""
    return f"{BODY_PREFIX}{subscription}"


def tries(subscription: str) -> str:
    """Name the failures of what a subscription's queue holds."""
    return f"{TRIES_PREFIX}{subscription}"
