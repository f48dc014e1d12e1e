"""Convert the times in use. Pure; nobody decides anything by this process's own clock.

Inside, a time is an ``int`` of microseconds since 1970-01-01 UTC: it compares, hashes and encodes
the same everywhere.
"""

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
DAY_US = 86_400 * 1_000_000


def to_datetime(time_us: int) -> datetime:
    """Return microseconds since 1970 as an aware datetime."""
    return _EPOCH + timedelta(microseconds=time_us)


def to_us(moment: datetime) -> int:
    """Return a datetime as microseconds since 1970.

    A naive one is taken as UTC, which is what the shards speak.
    """
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - _EPOCH) // _MICROSECOND


def day_of(time_us: int) -> int:
    """Return the number of the UTC day since 1970."""
    return time_us // DAY_US
