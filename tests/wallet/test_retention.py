"""Keys go when their time is over and not before, whole partitions at once, outcomes after them."""

import asyncio
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Self

import pytest

from tests.wallet.ingest_sink import IngestSink
from tests.wallet.relaying import relaying, until
from tests.wallet.shard_sql import query
from wallet.store import partitions, retention
from walletkit.clock import day_of, to_us
from walletkit.sql.literals import literal
from walletkit.sql.session import open_session, run_packet
from walletkit.stack import Stack

WEEK = timedelta(days=7)
NOW = datetime(2026, 11, 26, tzinfo=UTC)
INSTANT = timedelta(microseconds=1)


def weekly(first: datetime, count: int) -> dict[str, datetime]:
    """Return partitions of a week each, by name, the first of which ends at a moment."""
    return {f"to{bound:%Y%m%d}": bound for bound in (first + n * WEEK for n in range(count))}


@pytest.mark.parametrize(
    ("now", "gone"),
    [
        (NOW + WEEK - INSTANT, []),
        (NOW + WEEK, ["to20261126"]),
        (NOW + 2 * WEEK - INSTANT, ["to20261126"]),
        (NOW + 2 * WEEK, ["to20261126", "to20261203"]),
    ],
)
def test_a_partition_goes_when_its_last_row_is_old_enough(now: datetime, gone: list[str]) -> None:
    """To the microsecond: its bound is the first moment that it does not hold."""
    bounds = {"p0": datetime(1970, 1, 1, tzinfo=UTC), **weekly(NOW, 8)}
    assert retention.over(bounds, now, WEEK) == gone


def test_the_last_partition_stays() -> None:
    """After years without upkeep a table still has one; without any other nothing goes."""
    bounds = {"p0": datetime(1970, 1, 1, tzinfo=UTC), **weekly(NOW, 3)}
    assert retention.over(bounds, NOW + 500 * WEEK, WEEK) == ["to20261126", "to20261203"]
    assert retention.over({"p0": bounds["p0"]}, NOW, WEEK) == []


@pytest.mark.parametrize("key_days", [7, 10, 30])
def test_under_constant_load_the_number_of_partitions_is_bounded(key_days: int) -> None:
    """Year after year as many are dropped as are made, and every key is answered for its days."""
    bounds = weekly(NOW, partitions.WEEKS_AHEAD)
    for day in range(3 * 365):
        now = NOW + timedelta(days=day)
        while max(bounds.values()) < now + partitions.WEEKS_AHEAD * WEEK:
            bounds |= weekly(max(bounds.values()) + WEEK, 1)
        for name in retention.over(bounds, now, timedelta(days=key_days)):
            del bounds[name]
        assert len(bounds) <= partitions.WEEKS_AHEAD + key_days // 7 + 3
        # The oldest row that is left may be as old as the partition before the first one ends.
        if day > 2 * key_days + 14:
            assert min(bounds.values()) - WEEK <= now - timedelta(days=key_days)
            assert min(bounds.values()) > now - timedelta(days=key_days)


def midnight(days_ago: int) -> datetime:
    """Return the beginning of a day, UTC."""
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return today - timedelta(days=days_ago)


async def recut(url: str, *days_ago: int) -> None:
    """Cut both tables anew at these midnights, as they would be cut by now."""
    bounds = [midnight(days) for days in (*days_ago, -70)]
    days = [literal(day_of(to_us(bound))) for bound in bounds]
    ids = [literal(id_at(bound)) for bound in bounds]
    for table, columns, first, values in (
        ("idem", "RANGE(day)", "1", days),
        ("outcomes", "RANGE COLUMNS(ref)", f"x'{1:032x}'", ids),
    ):
        parts = [f"PARTITION p0 VALUES LESS THAN ({first})"] + [
            f"PARTITION to{bound:%Y%m%d} VALUES LESS THAN ({value})"
            for bound, value in zip(bounds, values, strict=True)
        ]
        await query(url, f"ALTER TABLE {table} PARTITION BY {columns} ({','.join(parts)})")


def id_at(moment: datetime, tail: bytes = bytes(10)) -> bytes:
    """Return an id that was made at a moment."""
    return (to_us(moment) // 1_000).to_bytes(6, "big") + tail


async def keep(url: str, name: bytes, decided: datetime, came_in: datetime) -> None:
    """Write a key's two rows: decided on a day, under the id that the command had got before."""
    ref = id_at(came_in, name.rjust(10, b"\0"))
    await query(
        url,
        f"INSERT INTO idem(key_hash,day,slot,ref) VALUES"
        f" ({literal(name.rjust(16))},{day_of(to_us(decided))},0,{literal(ref)});"
        f" INSERT INTO outcomes(ref,slot,fingerprint,outcome) VALUES"
        f" ({literal(ref)},0,{literal(bytes(33))},'')",
    )


async def keys(url: str) -> set[str]:
    """Return which keys are left; each that is has its outcome."""
    ((orphans,),) = await query(
        url, "SELECT COUNT(*) FROM idem i LEFT JOIN outcomes o USING(ref) WHERE o.ref IS NULL"
    )
    assert orphans == 0
    return {name.decode().strip() for (name,) in await query(url, "SELECT key_hash FROM idem")}


async def test_keys_at_the_edge(urls: tuple[str, ...]) -> None:
    """The last moment of a partition that ended a week ago is over; a day later it is not."""
    url = urls[0]
    await recut(url, 14, 7, 6)
    for name, moment in {
        b"older": midnight(14) - INSTANT,
        b"old": midnight(7) - INSTANT,
        b"young": midnight(7),
        b"younger": midnight(0),
    }.items():
        await keep(url, name, moment, moment)
    assert await retention.shed(url, 7) == 3
    assert await keys(url) == {"young", "younger"}
    # Of its outcomes only those that ended two weeks ago went: no key that is left had one there.
    assert await query(url, "SELECT COUNT(*) FROM outcomes") == [(3,)]
    assert await retention.shed(url, 7) == 0
    assert await retention.shed(url, 30) == 0


async def test_a_longer_time_keeps_more(urls: tuple[str, ...]) -> None:
    """The setting counts, not the least that there is."""
    url = urls[0]
    await recut(url, 31, 29)
    await keep(url, b"over", midnight(32), midnight(32))
    await keep(url, b"kept", midnight(30), midnight(30))
    assert await retention.shed(url, 30) == 1
    assert await keys(url) == {"kept"}


async def test_a_key_decided_long_after_its_command_came_in_keeps_its_outcome(
    urls: tuple[str, ...],
) -> None:
    """Even by days: the outcome lies by the id's time, in a partition that ended before."""
    url = urls[0]
    await recut(url, 14, 7, 6)
    await keep(url, b"late", midnight(7), midnight(13))
    await retention.shed(url, 7)
    assert await keys(url) == {"late"}


async def test_a_shard_whose_clock_is_ahead_forgets_nothing(
    databases: Stack, urls: tuple[str, ...]
) -> None:
    """A user whose sessions are years ahead: what is dropped is what our clock says is over."""
    url = urls[0]
    await recut(url, 8, 6)
    await keep(url, b"kept", midnight(7), midnight(7))
    await keep(url, b"over", midnight(9), midnight(9))
    databases.execute(
        "shard-0",
        "CREATE USER ahead@'127.0.0.1';"
        f"GRANT SELECT, ALTER, DROP ON {url.rpartition('/')[2]}.* TO ahead@'127.0.0.1';"
        "SET GLOBAL init_connect='SET @@timestamp=2000000000'",
    )
    try:
        assert await retention.shed(url.replace("root@", "ahead@"), 7) == 1
    finally:
        databases.execute("shard-0", "SET GLOBAL init_connect=''; DROP USER ahead@'127.0.0.1'")
    assert await keys(url) == {"kept"}


async def test_a_relay_whose_clock_is_ahead_forgets_nothing(
    urls: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The earlier of both clocks counts."""
    url = urls[0]
    await recut(url, 8, 6)
    await keep(url, b"kept", midnight(7), midnight(7))

    class Ahead(datetime):
        """A clock that is years ahead."""

        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Self:
            """Tell a time that has yet to come."""
            return cls(2100, 1, 1, tzinfo=tz)

    monkeypatch.setattr(retention, "datetime", Ahead)
    assert await retention.shed(url, 7) == 1
    assert await keys(url) == {"kept"}


async def test_two_at_once_do_no_harm(urls: tuple[str, ...]) -> None:
    """The one that comes second finds what the first has left."""
    url = urls[0]
    await recut(url, 40, 30, 20, 10)
    dropped = await asyncio.gather(*(retention.shed(url, 7) for _ in range(3)))
    assert sum(dropped) == 4 + 3
    names = await query(
        url,
        "SELECT partition_name FROM information_schema.partitions"
        " WHERE table_schema=DATABASE() AND table_name='idem' AND partition_name<>'p0'",
    )
    assert names == [(f"to{midnight(-70):%Y%m%d}",)]


async def test_writers_get_in_between(urls: tuple[str, ...]) -> None:
    """While a long transaction holds the table, a drop waits a second at most, and tries again."""
    url = urls[0]
    await recut(url, 20, 10)
    reader = await open_session(url, autocommit=False)
    try:
        await run_packet(reader, "SELECT * FROM idem")
        shedding = asyncio.create_task(retention.shed(url, 7))
        await asyncio.sleep(0.3)
        async with asyncio.timeout(3):
            await keep(url, b"new", datetime.now(UTC), datetime.now(UTC))
        assert not shedding.done()
        await run_packet(reader, "COMMIT")
        assert await shedding == 3
    finally:
        reader.close()
    assert await keys(url) == {"new"}


async def test_the_relay_sees_to_it(
    urls: tuple[str, ...], sinks: tuple[IngestSink, IngestSink]
) -> None:
    """At its start, and then hourly."""
    url = urls[0]
    await recut(url, 20, 10)
    await keep(url, b"over", midnight(11), midnight(11))
    await keep(url, b"kept", midnight(5), midnight(5))

    async def gone() -> bool:
        return await keys(url) == {"kept"}

    async with relaying(urls, *sinks, key_days=7):
        await until(gone)
