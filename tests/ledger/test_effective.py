"""Balances by effective times, against a model that adds up all entries."""

import random
from typing import NamedTuple

import grpc.aio
import pytest

from guilder.ledger.v1 import ledger_service_pb2 as api
from tests.ledger.running import Running, reason_of
from tests.ledger.shards import SECOND_US, START_US, Shard
from tests.ledger.test_reads import DAY_US, at
from walletkit.ids import format_id


class Move(NamedTuple):
    """What happened to one wallet: when it was recorded, when it counts, and by how much."""

    recorded_us: int
    effective_us: int
    delta: int


def moved(rng: random.Random) -> tuple[Shard, bytes, list[Move]]:
    """Write entries of a wallet, a third of which count earlier or later than recorded."""
    shard = Shard()
    wallet = shard.create()
    shard.transfer(shard.world(), wallet, 10_000)
    shard.commit()
    moves = [Move(shard.time_us, shard.time_us, 10_000)]
    for _ in range(25):
        shard.time_us += rng.choice((0, 1, SECOND_US, DAY_US))
        recorded_us = shard.time_us + SECOND_US
        for _ in range(rng.randrange(1, 4)):
            amount = rng.randrange(1, 100)
            ends = [shard.world(), wallet]
            rng.shuffle(ends)
            transaction = shard.transfer(ends[0], ends[1], amount)
            effective_us = recorded_us
            if rng.random() < 0.4:
                effective_us += rng.choice((-3 * DAY_US, -DAY_US, -1, 0, 1, DAY_US, 3 * DAY_US))
                transaction.effective_time_us = effective_us
            sign = 1 if ends[1] == wallet else -1
            moves.append(Move(recorded_us, effective_us, sign * amount))
        shard.commit()
    return shard, wallet, moves


async def balance_at(running: Running, wallet: bytes, **moment: object) -> int:
    """Return a wallet's balance at a time of either kind."""
    request = api.GetBalanceRequest(wallet_id=format_id(wallet), **moment)  # type: ignore[arg-type]
    return int((await running.stub.GetBalance(request)).posted_minor)


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_a_balance_at_an_effective_time_is_the_sum_of_what_counts_before_it(
    running: Running, seed: int
) -> None:
    """Also of what was recorded later and counts earlier, and the other way round."""
    shard, wallet, moves = moved(random.Random(seed))
    await running.take(shard)
    times = {t for move in moves for t in (move.recorded_us, move.effective_us)}
    for time_us in sorted({t + d for t in times for d in (0, 1)} | {0, START_US, 2 * START_US}):
        counts = sum(move.delta for move in moves if move.effective_us < time_us)
        assert await balance_at(running, wallet, at_effective_time=at(time_us)) == counts
        recorded = sum(move.delta for move in moves if move.recorded_us < time_us)
        assert await balance_at(running, wallet, at_time=at(time_us)) == recorded


async def test_the_other_side_of_a_posting_counts_at_the_same_time(running: Running) -> None:
    """A backdated deposit is backdated in `world` too, so the books balance at any time."""
    shard = Shard()
    ann = shard.create()
    shard.transfer(shard.world(), ann, 10).effective_time_us = START_US - DAY_US
    shard.commit()
    await running.take(shard)
    moment = at(START_US)
    assert await balance_at(running, ann, at_effective_time=moment) == 10
    assert await balance_at(running, shard.world(), at_effective_time=moment) == -10
    assert await balance_at(running, ann, at_time=moment) == 0


async def test_only_one_time_can_be_asked_for(running: Running) -> None:
    """Both times at once are INVALID_FIELD."""
    shard = Shard()
    ann = shard.create()
    shard.commit()
    await running.take(shard)
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await balance_at(running, ann, at_time=at(START_US), at_effective_time=at(START_US))
    assert reason_of(refused.value) == "INVALID_FIELD"


async def test_a_registered_asset_has_its_exponent(running: Running) -> None:
    """A balance in an asset that ISO 4217 does not know tells the digits it was registered with."""
    shard = Shard()
    shard.batch.asset_registrations.add(currency_code="XBTL", exponent=8)
    ann = shard.create("XBTL")
    shard.transfer(shard.world("XBTL"), ann, 150_000_000)
    shard.commit()
    await running.take(shard)
    for _ in range(2):
        reply = await running.stub.GetBalance(api.GetBalanceRequest(wallet_id=format_id(ann)))
        assert (reply.currency_code, reply.exponent) == ("XBTL", 8)


async def test_entries_and_the_trial_balance_tell_the_exponent(running: Running) -> None:
    """Entries, statements, transactions and the trial balance tell digits, each of its currency."""
    shard = Shard()
    shard.batch.asset_registrations.add(currency_code="XEXP", exponent=6)
    wallets = {code: shard.create(code) for code in ("XEXP", "JPY", "EUR")}
    for code, wallet in wallets.items():
        shard.transfer(shard.world(code), wallet, 5)
    shard.commit()
    await running.take(shard)
    digits = {"XEXP": 6, "JPY": 0, "EUR": 2}
    for code, wallet in wallets.items():
        name = format_id(wallet)
        listed = await running.stub.ListEntries(api.ListEntriesRequest(wallet_id=name))
        told = [entry.exponent for entry in listed.entries]
        of_wallet = api.ListTransactionsRequest(wallet_id=name)
        journal = await running.stub.ListTransactions(of_wallet)
        told += [item.entry.exponent for item in journal.transactions]
        statement = running.stub.GetStatement(api.GetStatementRequest(wallet_id=name))
        told += [line.entry.exponent async for part in statement for line in part.lines.lines]
        assert told == [digits[code]] * 3
    for request in (api.GetTrialBalanceRequest(), api.GetTrialBalanceRequest(shard=0)):
        lines = (await running.stub.GetTrialBalance(request)).lines
        told_of = {(line.currency_code, line.exponent) for line in lines}
        assert told_of == set(digits.items())


async def test_an_asset_whose_registration_is_not_here_has_no_digits_yet(running: Running) -> None:
    """Its shard's records may come later than those of the shards that hold it."""
    shard, registry = Shard(), Shard(1)
    ann = shard.create("XLATE")
    shard.transfer(shard.world("XLATE"), ann, 5)
    shard.commit()
    await running.take(shard)
    ask = api.ListEntriesRequest(wallet_id=format_id(ann))
    assert [entry.exponent for entry in (await running.stub.ListEntries(ask)).entries] == [0]
    registry.batch.asset_registrations.add(currency_code="XLATE", exponent=3)
    registry.commit()
    await running.take(registry)
    assert [entry.exponent for entry in (await running.stub.ListEntries(ask)).entries] == [3]
