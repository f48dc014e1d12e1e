"""What is backdated counts on both shards that it reaches, and so does what comes back of it."""

import asyncio
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from guilder.client import Guilder
from guilder.ledger.v1.ledger_service_pb2 import (
    ENTRY_SIDE_CREDIT,
    STATEMENT_BASIS_EFFECTIVE,
    StatementLine,
)
from guilder.wallet.v1.postings_pb2 import Posting
from guilder.wallet.v1.resources_pb2 import TRANSACTION_STATE_RETURNED, WalletLimits
from tests.e2e.traffic import euros, open_client, shard_urls, until_settled
from tests.e2e.verification import expect_clean
from tests.engine.world import account_on
from walletkit.stack import Stack

DAY = timedelta(days=1)
CATCH_UP_S = 15.0


async def wallet_on(guilder: Guilder, shard: int) -> str:
    """Make a wallet on a shard, and wait until the ledger knows it."""
    made = await guilder.wallet.create_wallet(account_on(shard), "EUR", idempotency_key="w")
    wallet_id = made.wallet.wallet_id
    await guilder.ledger.get_balance(
        wallet_id, min_position=made.position, timeout_seconds=CATCH_UP_S
    )
    return wallet_id


async def send_all(guilder: Guilder, payer: str, payee: str, at: Sequence[datetime]) -> None:
    """Pay by each kind of command, each at a time of its own, and send part of it back."""
    wallet = guilder.wallet
    made = await wallet.transfer(
        payer, payee, euros(100), effective_time=at[0], idempotency_key="transfer"
    )
    hold = await guilder.holds.authorize(payer, euros(20), idempotency_key="hold")
    await guilder.holds.capture_hold(
        hold.hold.hold_id,
        destination_wallet_id=payee,
        effective_time=at[1],
        idempotency_key="capture",
    )
    amounts = (3, 4)
    lines = [
        Posting(source_wallet_id=payer, destination_wallet_id=payee, amount=euros(amount))
        for amount in amounts
    ]
    await wallet.post_transaction(lines, effective_time=at[2], idempotency_key="postings")
    await until_paid(guilder, payee, 127)
    await wallet.reverse_transaction(
        made.transaction.transaction_id, euros(40), effective_time=at[3], idempotency_key="back"
    )


async def until_paid(guilder: Guilder, wallet_id: str, posted: int) -> None:
    """Wait until the ledger has a balance of now."""
    give_up = time.monotonic() + CATCH_UP_S
    while True:
        balance = await guilder.ledger.get_balance(wallet_id)
        if int(balance.posted_minor) == posted:
            return
        assert time.monotonic() < give_up, balance
        await asyncio.sleep(0.1)


async def balances(guilder: Guilder, wallets: Sequence[str], moment: datetime) -> list[int]:
    """Return what counts before a moment."""
    found = [
        await guilder.ledger.get_balance(wallet_id, at_effective_time=moment)
        for wallet_id in wallets
    ]
    return [int(balance.posted_minor) for balance in found]


async def lines_of(
    guilder: Guilder, wallet_id: str, start: datetime, end: datetime
) -> list[tuple[datetime, int]]:
    """Return the lines of a statement by effective times: when each counts, and its amount."""
    parts = guilder.ledger.get_statement(
        wallet_id, start_time=start, end_time=end, basis=STATEMENT_BASIS_EFFECTIVE
    )
    return [shown(line) for part in [part async for part in parts] for line in part.lines.lines]


def shown(line: StatementLine) -> tuple[datetime, int]:
    """Return when a line counts, and what it adds."""
    sign = 1 if line.entry.side == ENTRY_SIDE_CREDIT else -1
    return line.effective_time.ToDatetime(UTC), sign * line.entry.amount_minor


@pytest.mark.timeout(120)
async def test_both_shards_count_a_backdated_movement_at_its_time(suite: Stack) -> None:
    """Transfer, capture, postings, reversal: payer and payee agree at each moment between."""
    now = datetime.now(UTC).replace(microsecond=0)
    times = [now - days * DAY for days in (20, 16, 12, 8)]
    async with open_client(suite) as guilder:
        await guilder.wait_ready(timeout_seconds=20)
        payer, payee = await wallet_on(guilder, 0), await wallet_on(guilder, 1)
        await guilder.wallet.deposit(
            payer, euros(1_000), effective_time=now - 30 * DAY, idempotency_key="in"
        )
        await send_all(guilder, payer, payee, times)
        await until_settled(shard_urls(suite))
        await until_paid(guilder, payee, 87)
        await until_paid(guilder, payer, 913)
        steps = ((now - 25 * DAY, 0), *zip(times, (100, 120, 127, 87), strict=True))
        for moment, paid in steps:
            found = await balances(guilder, (payer, payee), moment + DAY)
            assert found == [1_000 - paid, paid], moment
        expected = [(times[1], 20), (times[2], 3), (times[2], 4), (times[3], -40)]
        found_lines = await lines_of(guilder, payee, times[0] + DAY, now - DAY)
        assert sorted(found_lines) == expected
        mirrored = await lines_of(guilder, payer, times[0] + DAY, now - DAY)
        assert sorted(mirrored) == sorted((moment, -amount) for moment, amount in expected)
        await expect_clean(suite)


@pytest.mark.timeout(120)
async def test_what_comes_back_was_never_gone(suite: Stack) -> None:
    """A payee that is full sends a backdated credit back: no moment misses it, on either shard."""
    now = datetime.now(UTC).replace(microsecond=0)
    async with open_client(suite) as guilder:
        await guilder.wait_ready(timeout_seconds=20)
        payer, payee = await wallet_on(guilder, 0), await wallet_on(guilder, 1)
        await guilder.wallet.deposit(
            payer, euros(1_000), effective_time=now - 30 * DAY, idempotency_key="in"
        )
        await guilder.limits.set_wallet_limits(
            payee, WalletLimits(max_balance_minor=50), idempotency_key="full"
        )
        sent = await guilder.wallet.transfer(
            payer, payee, euros(60), effective_time=now - 9 * DAY, idempotency_key="bounces"
        )
        await until_settled(shard_urls(suite))
        tx_id = sent.transaction.transaction_id
        ended = await guilder.wallet.get_transaction(tx_id)
        assert ended.state == TRANSACTION_STATE_RETURNED
        await expect_clean(suite)
        for days in (10, 8, 1, 0):
            found = await balances(guilder, (payer, payee), now - days * DAY)
            assert found == [1_000, 0], days
        lines = await lines_of(guilder, payer, now - 10 * DAY, now - 8 * DAY)
        assert lines == [(now - 9 * DAY, -60), (now - 9 * DAY, 60)]
