"""Reconcile holds, freezes and credit lines on a real database, at exactly the snapshot's seq."""

from collections.abc import Callable

import pytest

from guilder.events.v1 import record_pb2 as events
from guilder.wallet.v1 import wallet_audit_service_pb2 as audit
from tests.ledger.proofs import Spoil, kinds, reconcile
from tests.ledger.running import Running
from tests.ledger.shards import SECOND_US, Shard
from walletkit.ids import format_id, new_id

Parts = list[audit.StreamBalancesResponse]
EXPIRED = events.HOLD_CHANGE_KIND_EXPIRED, events.HOLD_STATE_EXPIRED


def holding() -> tuple[Shard, bytes, bytes, list[bytes]]:
    """Return a shard with 1,000 in a wallet, six holds of 100 there, and a credit line."""
    shard = Shard(0)
    ann, bob = shard.create(), shard.create(account_id="bob")
    shard.transfer(shard.world(), ann, 1_000)
    shard.limit(ann, 50)
    holds = [shard.authorize(ann, 100) for _ in range(6)]
    shard.commit()
    return shard, ann, bob, holds


def _increment(shard: Shard, hold_id: bytes, _: bytes) -> None:
    shard.increment(hold_id, 7)


def _extend(shard: Shard, hold_id: bytes, _: bytes) -> None:
    shard.extend(hold_id, SECOND_US)


def _capture(shard: Shard, hold_id: bytes, bob: bytes) -> None:
    shard.capture(hold_id, bob, 30)


def _final(shard: Shard, hold_id: bytes, bob: bytes) -> None:
    shard.capture(hold_id, bob, 30, final=True)


def _void(shard: Shard, hold_id: bytes, _: bytes) -> None:
    shard.release(hold_id)


def _expire(shard: Shard, hold_id: bytes, _: bytes) -> None:
    shard.release(hold_id, *EXPIRED)


def _everything(shard: Shard, hold_id: bytes, bob: bytes) -> None:
    for act in (_increment, _extend, _capture, _void):
        act(shard, hold_id, bob)
        shard.commit()


ACTS = (_increment, _extend, _capture, _final, _void, _expire, _everything)


@pytest.mark.parametrize("act", ACTS)
async def test_a_hold_is_compared_as_it_was_at_the_seq(
    running: Running, act: Callable[[Shard, bytes, bytes], None]
) -> None:
    """Whatever became of it in the records after: ``hold_changes`` tells how it was."""
    shard, ann, bob, holds = holding()
    shard.increment(holds[0], 3)
    shard.commit()
    before = shard.snapshot()
    act(shard, holds[0], bob)
    shard.authorize(ann, 11)
    shard.commit()
    await running.take(shard)
    for parts in (before, shard.snapshot()):
        running.wallets.snapshots[0] = parts
        reply = await reconcile(running)
        assert not reply.differences, reply


async def test_freeze_and_credit_line_are_compared_as_they_were_at_the_seq(
    running: Running,
) -> None:
    """What the first change after the seq says of the time before it must be there."""
    shard, ann, bob, _ = holding()
    shard.freeze_account("ann", events.ACCOUNT_FREEZE_DEBITS)
    shard.change(bob, events.WALLET_STATUS_DEBITS_FROZEN)
    shard.commit()
    before = shard.snapshot()
    shard.freeze_account("ann", events.ACCOUNT_FREEZE_ALL)
    shard.limit(ann, 70)
    shard.limit(ann, 10)
    shard.change(bob, events.WALLET_STATUS_FROZEN)
    shard.commit()
    shard.freeze_account("ann", events.ACCOUNT_FREEZE_UNSPECIFIED)
    shard.change(bob, events.WALLET_STATUS_ACTIVE)
    shard.commit()
    await running.take(shard)
    running.wallets.snapshots[0] = before
    reply = await reconcile(running)
    assert not reply.differences, reply
    for part in before:
        for balance in part.balances:
            balance.account_freeze = 0  # type: ignore[assignment]  # a number
            balance.overdraft_limit_minor = 10
    reply = await reconcile(running)
    found = {(d.wallet_id, d.expected, d.actual) for d in reply.differences}
    assert found == {
        *((format_id(ann), "DEBITS", "NONE"), (format_id(ann), "50", "10")),
        (format_id(bob), "0", "10"),
    }


async def test_the_first_records_let_their_status_be_told(running: Running) -> None:
    """A freeze that does not say what was before it: it was active; of a closing nobody knows."""
    shard, ann, bob, _ = holding()
    before = shard.snapshot()
    for wallet_id, status in (
        (ann, events.WALLET_STATUS_FROZEN),
        (bob, events.WALLET_STATUS_CLOSED),
    ):
        shard.change(wallet_id, status)
        shard.batch.wallet_changes[-1].previous_status = events.WALLET_STATUS_UNSPECIFIED
        shard.batch.wallet_changes[-1].previous_overdraft_limit_minor = 50 * (wallet_id == ann)
    shard.commit()
    await running.take(shard)
    running.wallets.snapshots[0] = before
    reply = await reconcile(running)
    assert not reply.differences, reply


def field(name: str, by: int) -> Spoil:
    """Change a number of a snapshot's first hold."""

    def spoil(parts: Parts) -> None:
        setattr(parts[-1].holds[0], name, getattr(parts[-1].holds[0], name) + by)

    return spoil


def hold_faults() -> dict[str, tuple[Spoil, set[str]]]:
    """Return ways to spoil a snapshot, and what must be found."""

    def lose(parts: Parts) -> None:
        del parts[-1].holds[0]

    def invent(parts: Parts) -> None:
        parts[-1].holds.add(hold_id=new_id(0), wallet_id=new_id(0), currency_code="EUR", state=1)

    def move(parts: Parts) -> None:
        parts[-1].holds[0].wallet_id = new_id(0)

    def less(parts: Parts) -> None:
        for part in parts:
            for balance in part.balances:
                balance.held_minor -= min(balance.held_minor, 100)

    def forget(parts: Parts) -> None:
        """Lose a hold and what it held together, as a shard that released it unseen would."""
        lose(parts)
        less(parts)

    def frozen(parts: Parts) -> None:
        parts[1].balances[0].account_freeze = 2  # type: ignore[assignment]  # a number

    return {
        **{
            name: (field(name, 1), {"HOLD"})
            for name in (
                *("authorized_minor", "captured_minor", "released_minor", "expire_time_us"),
                "state",
            )
        },
        "a hold lost": (lose, {"HOLD"}),
        "a hold invented": (invent, {"HOLD"}),
        "a hold of another wallet": (move, {"HOLD"}),
        "less held": (less, {"HOLD"}),
        "a hold released unseen": (forget, {"HOLD"}),
        "an account frozen unseen": (frozen, {"WALLET"}),
    }


async def test_each_difference_of_holds_is_found(running: Running) -> None:
    """Between the shard's open holds and the journal's, and between those and what is held."""
    shard, *_ = holding()
    await running.take(shard)
    for name, (spoil, expected) in hold_faults().items():
        parts = shard.snapshot()
        spoil(parts)
        running.wallets.snapshots[0] = parts
        assert kinds(await reconcile(running)) == expected, name


async def test_held_is_the_sum_of_the_journals_open_holds(running: Running) -> None:
    """I8: also where shard and account agree on an amount that no hold explains."""
    shard, ann, *_ = holding()
    await running.take(shard)
    parts = shard.snapshot()
    for part in parts:
        for balance in part.balances:
            balance.held_minor += 5 * (balance.wallet_id == ann)
    running.wallets.snapshots[0] = parts
    await running.sql(f"UPDATE accounts SET held=held+5 WHERE wallet_id=x'{ann.hex()}'")
    (difference,) = (await reconcile(running)).differences
    assert (difference.expected, difference.actual) == ("600", "605")
    assert difference.wallet_id == format_id(ann)
