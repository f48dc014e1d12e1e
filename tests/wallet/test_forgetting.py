"""Old transactions go by the month, and what guards their money only after all of them."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import ValidationError

from tests.wallet.shard_sql import query
from wallet.relay.upkeep import Retention, Upkeep
from wallet.settings import Settings
from wallet.store import forgetting, partitions
from wallet.store.partitions import first_id
from walletkit.clock import to_us
from walletkit.sql.literals import literal
from walletkit.stack import Stack

NOW = datetime.now(UTC)
DAYS = 100
KEPT = Retention(outbox_hours=1, key_days=7, transaction_days=DAYS)


def ago(days: float) -> datetime:
    """Return a moment that was so many days before this file was read: the same each time."""
    return NOW - timedelta(days=days)


def tx(days: float) -> str:
    """Write the id of a transaction that was made so many days ago."""
    return literal(first_id(ago(days)))


def midnight(days: int) -> datetime:
    """Return the beginning of a day so many days ago."""
    return ago(days).replace(hour=0, minute=0, second=0, microsecond=0)


async def recut(url: str, *days: int) -> None:
    """Cut `transactions` at these midnights, as it would be cut by now."""
    cuts = ["PARTITION p0 VALUES LESS THAN (x'00000000000000000000000000000001')"]
    cuts += [
        f"PARTITION to{bound:%Y%m%d} VALUES LESS THAN ({literal(first_id(bound))})"
        for bound in map(midnight, (*days, -200))
    ]
    await query(
        url, f"ALTER TABLE transactions PARTITION BY RANGE COLUMNS(tx_id) ({','.join(cuts)})"
    )


async def move(url: str, days: float) -> None:
    """Write a transaction of so many days ago, and everything that may hang on one."""
    id_ = tx(days)
    await query(
        url,
        "INSERT INTO transactions(tx_id,slot,type,state,source,destination,currency,amount,"
        f"created_at,reference,opaque) VALUES ({id_},0,1,2,{id_},{id_},'EUR',1,NOW(6),'','')",
    )
    await hang(url, days)


async def hang(url: str, days: float) -> None:
    """Write what hangs on a transaction of so many days ago, wherever that is."""
    id_ = tx(days)
    await query(
        url,
        f"INSERT INTO inbox(tx_id,leg,slot,result) VALUES ({id_},0,0,1);"
        f" INSERT INTO links(tx_id,slot,parent,family) VALUES ({id_},0,{id_},{id_});"
        " INSERT INTO tx_lines(tx_id,n,slot,source,destination,currency,amount) VALUES"
        f" ({id_},0,0,{id_},{id_},'EUR',1);"
        f" INSERT INTO reversed(tx_id,slot,amount) VALUES ({id_},0,1)",
    )


async def open_intent(url: str, days: float, leg: int = 0) -> None:
    """Write a credit that has left and is not known to have landed."""
    id_ = tx(days)
    await query(
        url,
        "INSERT INTO intents(tx_id,leg,slot,source,destination,currency,amount) VALUES"
        f" ({id_},{leg},0,{id_},{id_},'EUR',1)",
    )


async def left(url: str) -> list[int]:
    """Count the rows of each table, transactions first."""
    found = []
    for table in ("transactions", *forgetting.HANGING):
        ((count,),) = await query(url, f"SELECT COUNT(*) FROM {table}")
        found.append(count)
    return found


async def test_months_at_the_edge(urls: tuple[str, ...]) -> None:
    """One whose last row is as old as is kept goes; one that ends a day later stays."""
    url = urls[0]
    await recut(url, DAYS + 31, DAYS, DAYS - 1)
    for days in (DAYS + 40, DAYS + 5, DAYS - 0.5, 1):
        await move(url, days)
    assert await forgetting.drop_months(url, DAYS) == 2
    assert (await left(url))[0] == 2
    assert await forgetting.drop_months(url, DAYS) == 0


async def test_a_transaction_whose_credit_is_under_way_stays(urls: tuple[str, ...]) -> None:
    """And so does its month, until the credit has landed."""
    url = urls[0]
    await recut(url, DAYS + 31, DAYS + 5, DAYS - 1)
    await move(url, DAYS + 40)
    await move(url, DAYS + 10)
    await open_intent(url, DAYS + 10)
    assert await forgetting.drop_months(url, DAYS) == 1
    assert (await left(url))[0] == 1
    await query(url, "DELETE FROM intents")
    assert await forgetting.drop_months(url, DAYS) == 1


async def test_what_hangs_on_a_transaction_goes_a_round_after_it(urls: tuple[str, ...]) -> None:
    """Not in the same: a command may be under way that has read it."""
    url = urls[0]
    await recut(url, DAYS + 5, DAYS - 1)
    await move(url, DAYS + 10)
    await move(url, 1)
    upkeep = Upkeep(urls, 0, KEPT)
    await upkeep.round()
    assert await left(url) == [1, 2, 2, 2, 2]
    await upkeep.round()
    assert await left(url) == [1, 1, 1, 1, 1]
    # A process that has just started has not seen what was there a day ago.
    await hang(url, DAYS + 20)
    await Upkeep(urls, 0, KEPT).round()
    assert await left(url) == [1, 2, 2, 2, 2]


@pytest.mark.parametrize("leg", [0, 128])
async def test_a_leg_that_any_shard_may_send_again_keeps_its_row(
    urls: tuple[str, ...], leg: int
) -> None:
    """Without its row it would land twice: an open intent elsewhere, a return too, holds it."""
    here, there = urls
    await hang(here, DAYS + 30)
    await hang(here, DAYS + 10)
    await open_intent(there, DAYS + 20, leg)
    upkeep = Upkeep(urls, 0, KEPT)
    await upkeep.round()
    await upkeep.round()
    assert await left(here) == [0, 1, 1, 1, 1]
    await query(there, "DELETE FROM intents")
    await upkeep.round()
    assert await left(here) == [0, 1, 1, 1, 1]
    await upkeep.round()
    assert await left(here) == [0, 0, 0, 0, 0]


async def test_what_a_shard_can_still_reverse_keeps_its_row(urls: tuple[str, ...]) -> None:
    """A transaction that its home has not dropped yet could be reversed twice without it."""
    here, there = urls
    await recut(there, DAYS - 1)
    await move(there, DAYS + 10)
    await hang(here, DAYS + 9)
    upkeep = Upkeep(urls, 0, KEPT)
    for _ in range(3):
        await upkeep.round()
    assert await left(here) == [0, 1, 1, 1, 1]


async def test_an_intent_that_one_look_has_missed_is_seen_by_the_next(
    urls: tuple[str, ...],
) -> None:
    """It was turned back between two shards' answers; the lower line of two rounds counts."""
    here, there = urls
    await hang(here, DAYS + 10)
    upkeep = Upkeep(urls, 0, KEPT)
    await upkeep.round()
    await open_intent(there, DAYS + 10, 128)
    await upkeep.round()
    assert await left(here) == [0, 1, 1, 1, 1]


async def test_while_a_shard_is_away_nothing_is_deleted(
    databases: Stack, urls: tuple[str, ...]
) -> None:
    """Nobody knows what it has; and what was seen before counts no more."""
    here = urls[0]
    await hang(here, DAYS + 10)
    upkeep = Upkeep(urls, 0, KEPT)
    await upkeep.round()
    await asyncio.to_thread(databases.kill, "shard-1")
    with pytest.raises(Exception, match=r"(?i)connect|refused|lost"):
        await upkeep.round()
    assert await left(here) == [0, 1, 1, 1, 1]
    await asyncio.to_thread(databases.start, "shard-1")
    await upkeep.round()
    assert await left(here) == [0, 1, 1, 1, 1]
    await upkeep.round()
    assert await left(here) == [0, 0, 0, 0, 0]


async def test_young_rows_stay_whatever_is_gone(urls: tuple[str, ...]) -> None:
    """On shards that have neither transactions nor intents, the days count."""
    url = urls[0]
    await hang(url, DAYS + 1)
    await hang(url, DAYS - 1)
    upkeep = Upkeep(urls, 0, KEPT)
    await upkeep.round()
    await upkeep.round()
    assert await left(url) == [0, 1, 1, 1, 1]


async def test_by_default_all_is_kept_for_good(urls: tuple[str, ...]) -> None:
    """Nothing but keys goes unless somebody says so."""
    url = urls[0]
    await recut(url, 3_000, 10)
    await move(url, 4_000)
    upkeep = Upkeep(urls, 0, Retention(1, 7))
    for _ in range(3):
        await upkeep.round()
    assert await left(url) == [1, 1, 1, 1, 1]


async def test_many_rows_go_by_small_deletes(urls: tuple[str, ...]) -> None:
    """More than one DELETE takes, to the last row below the line and no further."""
    url = urls[0]
    count = 2 * forgetting.CHUNK_ROWS + 7
    start = to_us(ago(DAYS + 1)) // 1_000
    ids = [(start - n).to_bytes(6, "big") + bytes(10) for n in range(count)]
    rows = ",".join(f"({literal(id_)},0,0,1)" for id_ in ids)
    await query(url, f"INSERT INTO inbox(tx_id,leg,slot,result) VALUES {rows}")
    assert await forgetting.delete_below(url, ids[10]) == count - 11
    assert (await left(url))[1] == 11


def test_ids_of_a_bound_begin_a_partition() -> None:
    """The first id of a moment is not below it, and the one before it is."""
    moment = datetime(2026, 12, 1, tzinfo=UTC)
    assert first_id(moment) > first_id(moment - timedelta(milliseconds=1))
    assert partitions.first_id(moment)[6:] == bytes(10)


@pytest.mark.parametrize(("days", "right"), [(0, True), (27, False), (28, True)])
def test_transactions_outlive_their_keys(days: int, right: bool) -> None:  # noqa: FBT001  # the answer
    """A replay is answered with its transaction's state."""
    wanted = {
        "listen": "127.0.0.1:1",
        "auth_mode": "trusted",
        "ledger_address": "l:1",
        "notify_address": "n:1",
        "shard_urls": ("mysql://h/w",),
    }
    if right:
        assert Settings(**wanted, transaction_days=days).transaction_days == days  # type: ignore[arg-type]
        return
    with pytest.raises(ValidationError, match="at least 28"):
        Settings(**wanted, transaction_days=days)  # type: ignore[arg-type]
