"""Reversals and refunds: never more than was moved, linked both ways, with who and why."""

import asyncio

import grpc.aio
import pytest

from guilder.wallet.v1 import resources_pb2 as res
from tests.api import books
from tests.api.failures import declined, failure_of, invalid, missing, of_error
from tests.api.suite import Suite, money, running
from walletkit.ids import format_id, new_id, parse_id

REVERSAL = res.TRANSACTION_TYPE_REVERSAL


async def reverse(suite: Suite, transaction: res.Transaction, **fields: object) -> res.Transaction:
    """Reverse, and return the reversal."""
    reply = await suite.do(
        "ReverseTransaction", transaction_id=transaction.transaction_id, **fields
    )
    made: res.Transaction = reply.transaction
    return made


@pytest.mark.parametrize(("home", "there"), [(0, 0), (0, 1), (1, 0)])
async def test_t11_reversal_posts_the_opposite(suite: Suite, home: int, there: int) -> None:
    """The money goes back, through postings of its own; the original stays as it is."""
    payer, payee = await suite.wallet(100, shard=home), await suite.wallet(5, shard=there)
    original = (await suite.transfer(payer, payee, 30, reference="r")).transaction
    made = await reverse(suite, original, reason="broken", actor="ann", description="d")
    assert (made.type, made.amount.amount_minor, made.reference) == (REVERSAL, 30, "r")
    assert (made.source_wallet_id, made.destination_wallet_id) == (payee, payer)
    assert (made.parent_id, made.family_id) == (original.transaction_id,) * 2
    assert (made.reason, made.actor, made.description) == ("broken", "ann", "d")
    await books.settled(suite.urls)
    assert (await suite.posted(payer), await suite.posted(payee)) == (100, 5)
    for transaction in (original, made):
        found = await suite.do("GetTransaction", transaction_id=transaction.transaction_id)
        assert found.transaction == transaction


@pytest.mark.parametrize("there", [0, 1])
async def test_t24_refunds_never_exceed_the_original(suite: Suite, there: int) -> None:
    """Partial, repeated, raced: what is refunded in all is at most what was moved."""
    payer, payee = await suite.wallet(100), await suite.wallet(100, shard=there)
    original = (await suite.transfer(payer, payee, 50)).transaction
    await reverse(suite, original, amount=money(20))
    failure = await failure_of(reverse(suite, original, amount=money(31)))
    shown = {"transaction_id": original.transaction_id}
    assert failure == declined("REVERSAL_EXCEEDS_ORIGINAL", **shown, remaining=30, required=31)
    results = await asyncio.gather(
        *[reverse(suite, original, amount=money(7)) for _ in range(10)], return_exceptions=True
    )
    assert len([one for one in results if isinstance(one, res.Transaction)]) == 4
    last = await reverse(suite, original)
    assert last.amount.amount_minor == 2
    assert await failure_of(reverse(suite, original)) == declined("TRANSACTION_REVERSED", **shown)
    await books.settled(suite.urls)
    assert (await suite.posted(payer), await suite.posted(payee)) == (100, 100)


async def test_t23_concurrent_reversals_have_one_effect(suite: Suite) -> None:
    """Of many reversals of all one is made; the others are told that it is done."""
    payer, payee = await suite.wallet(100), await suite.wallet(100)
    original = (await suite.transfer(payer, payee, 50)).transaction
    results = await asyncio.gather(
        *[reverse(suite, original) for _ in range(20)], return_exceptions=True
    )
    failures = [of_error(one) for one in results if isinstance(one, grpc.aio.AioRpcError)]
    done = declined("TRANSACTION_REVERSED", transaction_id=original.transaction_id)
    assert failures == [done] * 19
    assert (await suite.posted(payer), await suite.posted(payee)) == (100, 100)


async def test_t22_nobody_can_squat_a_reversal(suite: Suite) -> None:
    """References and keys are the caller's alone: whatever was used before is not in the way."""
    payer, payee = await suite.wallet(100), await suite.wallet(100)
    original = (await suite.transfer(payer, payee, 5, idempotency_key="k")).transaction
    shown = original.transaction_id
    for name in (f"REV-{shown}", shown):
        await suite.deposit(payee, 1, reference=name[:64], idempotency_key=name)
    assert (await reverse(suite, original, idempotency_key="k")).amount.amount_minor == 5


async def test_reversals_of_deposits_and_withdrawals(suite: Suite) -> None:
    """What came from outside goes back there, and the other way round."""
    wallet = await suite.wallet()
    deposit = (await suite.deposit(wallet, 100)).transaction
    back = await reverse(suite, deposit, amount=money(30))
    assert (back.source_wallet_id, back.destination_wallet_id) == (wallet, "")
    withdrawal = (await suite.withdraw(wallet, 70)).transaction
    again = await reverse(suite, withdrawal)
    assert (again.source_wallet_id, again.destination_wallet_id) == ("", wallet)
    assert await suite.posted(wallet) == 70


@pytest.mark.parametrize("there", [0, 1])
async def test_refund_of_a_capture(suite: Suite, there: int) -> None:
    """A refund belongs to the family of the hold."""
    wallet, shop = await suite.wallet(100), await suite.wallet(shard=there)
    hold = await suite.authorize(wallet, 50, destination_wallet_id=shop)
    capture = (await suite.do("CaptureHold", hold_id=hold.hold_id)).transaction
    refund = await reverse(suite, capture, amount=money(20))
    assert (refund.parent_id, refund.family_id) == (capture.transaction_id, hold.hold_id)
    await books.settled(suite.urls)
    assert (await suite.posted(wallet), await suite.posted(shop)) == (70, 30)


async def test_reversal_without_funds(suite: Suite) -> None:
    """What the payee has spent can't be taken back; nothing is reversed then."""
    payer, payee = await suite.wallet(100), await suite.wallet()
    original = (await suite.transfer(payer, payee, 50)).transaction
    await suite.withdraw(payee, 20)
    short = declined("INSUFFICIENT_FUNDS", wallet_id=payee, available=30, required=50)
    assert await failure_of(reverse(suite, original)) == short
    await reverse(suite, original, amount=money(30))


async def test_reversal_of_a_reversal(suite: Suite) -> None:
    """That is a new transfer, and has to be said so."""
    payer, payee = await suite.wallet(100), await suite.wallet()
    original = (await suite.transfer(payer, payee, 50)).transaction
    back = await reverse(suite, original)
    failure = await failure_of(reverse(suite, back))
    shown = {"transaction_id": back.transaction_id}
    assert failure == declined("TRANSACTION_NOT_REVERSIBLE", **shown)


async def test_reversal_of_what_is_on_its_way(
    suite: Suite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What has not landed can't be taken back yet; with a fresh key it can when it has."""
    payer, payee = await suite.wallet(100), await suite.wallet(50, shard=1)
    async with running(suite.urls, leg_wait_s=0.0) as hasty:
        # The leg is left to the sweep.
        monkeypatch.setattr(hasty.router.legs, "on_commit", lambda _: None)
        original = (await hasty.transfer(payer, payee, 9)).transaction
        assert original.state == res.TRANSACTION_STATE_PROCESSING
        failure = await failure_of(reverse(hasty, original))
        shown = {"transaction_id": original.transaction_id}
        assert failure == declined("TRANSACTION_PROCESSING", **shown)
        await books.settled(suite.urls)
        await reverse(hasty, original)
    await books.settled(suite.urls)
    assert await suite.posted(payer) == 100


async def test_reversal_of_what_was_returned(suite: Suite) -> None:
    """What went back by itself can't be sent back again."""
    payer, payee = await suite.wallet(100), await suite.wallet(shard=1)
    row = f"wallet_id=x'{parse_id(payee).hex()}'"
    original: res.Transaction | None = None
    for _ in range(20):
        await suite.transfer(payer, payee, 1)
        await books.ask(suite.urls[1], f"UPDATE balances SET status=3 WHERE {row}")
        try:
            original = (await suite.transfer(payer, payee, 9)).transaction
        except grpc.aio.AioRpcError:
            # The last look at the payee was too long ago to be believed.
            original = None
        await books.settled(suite.urls)
        await books.ask(suite.urls[1], f"UPDATE balances SET status=1 WHERE {row}")
        if original is not None:
            break
        await asyncio.sleep(0.3)
    assert original is not None
    failure = await failure_of(reverse(suite, original))
    shown = {"transaction_id": original.transaction_id}
    assert failure == declined("TRANSACTION_RETURNED", **shown)


async def test_a_refund_that_bounced_can_be_tried_again(suite: Suite) -> None:
    """What the payer's wallet could not take counts as not reversed, all of it or a part."""
    payer, payee = await suite.wallet(100), await suite.wallet(0, shard=1)
    original = (await suite.transfer(payer, payee, 60)).transaction
    await books.settled(suite.urls)
    await reverse(suite, original, amount=money(10))
    await suite.do(
        "SetWalletLimits", wallet_id=payer, limits=res.WalletLimits(max_balance_minor=60)
    )
    bounced = await reverse(suite, original)
    await books.settled(suite.urls)
    found = await suite.do("GetTransaction", transaction_id=bounced.transaction_id)
    assert found.transaction.state == res.TRANSACTION_STATE_RETURNED
    assert (await suite.posted(payer), await suite.posted(payee)) == (50, 50)
    await suite.do("SetWalletLimits", wallet_id=payer, limits=res.WalletLimits())
    assert (await reverse(suite, original)).amount.amount_minor == 50
    await books.settled(suite.urls)
    assert (await suite.posted(payer), await suite.posted(payee)) == (100, 0)
    shown = {"transaction_id": original.transaction_id}
    assert await failure_of(reverse(suite, original)) == declined("TRANSACTION_REVERSED", **shown)


async def test_a_first_refund_that_bounced_leaves_nothing_behind(suite: Suite) -> None:
    """Nothing is reversed then, and all of it can be."""
    payer, payee = await suite.wallet(100), await suite.wallet(0, shard=1)
    original = (await suite.transfer(payer, payee, 60)).transaction
    await books.settled(suite.urls)
    await suite.do(
        "SetWalletLimits", wallet_id=payer, limits=res.WalletLimits(max_balance_minor=50)
    )
    await reverse(suite, original)
    await books.settled(suite.urls)
    await suite.do("SetWalletLimits", wallet_id=payer, limits=res.WalletLimits())
    assert (await reverse(suite, original)).amount.amount_minor == 60


async def test_unknown_original_and_bad_fields(suite: Suite) -> None:
    """Unknown transactions are NOT_FOUND; texts have their bounds, amounts theirs."""
    nobody = format_id(new_id(9))
    unknown = suite.do("ReverseTransaction", transaction_id=nobody)
    assert await failure_of(unknown) == missing("TRANSACTION_NOT_FOUND", transaction_id=nobody)
    bad = suite.do(
        "ReverseTransaction",
        transaction_id="x",
        amount=money(0),
        reason="ö" * 129,
        actor="a" * 129,
        reference="r" * 65,
    )
    fields = ("transaction_id", "amount.amount_minor", "reason", "actor", "reference")
    assert await failure_of(bad) == invalid(*fields)


async def test_reversal_in_another_currency(suite: Suite) -> None:
    """An amount in another currency than the original's is declined as for any wallet."""
    payer, payee = await suite.wallet(100), await suite.wallet()
    original = (await suite.transfer(payer, payee, 50)).transaction
    failure = await failure_of(reverse(suite, original, amount=money(1, "USD")))
    assert failure.reason == "CURRENCY_MISMATCH"
