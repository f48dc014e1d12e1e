"""The journal of frozen wallets: what the shard must have refused contradicts it. No I/O."""

from collections.abc import Callable

import pytest

from guilder.events.v1 import record_pb2 as events
from ledger.domain.account import JournalMismatchError
from tests.ledger.books import FROZEN, THAWED, message_of, reread, two_wallets
from tests.ledger.shards import Shard
from walletkit.ids import SystemKind, new_id


def _debit(shard: Shard, ann: bytes, bob: bytes) -> None:
    shard.transfer(ann, bob, 1)


def _withdrawal(shard: Shard, ann: bytes, _: bytes) -> None:
    shard.transfer(ann, shard.world(), 1)


def _sending(shard: Shard, ann: bytes, _: bytes) -> None:
    shard.send(ann, new_id(1), 1)


def _credit(shard: Shard, ann: bytes, bob: bytes) -> None:
    shard.transfer(bob, ann, 1)


def _deposit(shard: Shard, ann: bytes, _: bytes) -> None:
    shard.transfer(shard.world(), ann, 1)


def _debit_by_a_leg(shard: Shard, ann: bytes, bob: bytes) -> None:
    intent = events.Intent(leg=0, destination=bob, currency_code="EUR", amount_minor=1)
    wallet = shard.wallets[ann]
    wallet.version += 1
    shard.land(new_id(1), intent).postings.add(
        source=ann,
        destination=shard.system_id(SystemKind.SUSPENSE),
        currency_code="EUR",
        amount_minor=1,
        source_posted_after=wallet.posted - 1,
        source_version=wallet.version,
    )


@pytest.mark.parametrize("apart", [True, False])
@pytest.mark.parametrize(
    ("move", "expected"),
    [
        *((move, "no debit") for move in (_debit, _withdrawal, _sending, _debit_by_a_leg)),
        *((move, "no credit") for move in (_credit, _deposit)),
    ],
)
def test_a_frozen_wallet_neither_pays_nor_is_paid(
    move: Callable[[Shard, bytes, bytes], None], expected: str, *, apart: bool
) -> None:
    """Whether it was frozen in a record before or earlier in the same one."""
    shard, books, ann, bob = two_wallets()
    shard.transfer(shard.world(), bob, 50)
    shard.change(ann, FROZEN)
    if apart:
        shard.commit()
        books.add(reread(message_of(shard)))
    move(shard, ann, bob)
    shard.change(ann, THAWED)
    shard.commit()
    with pytest.raises(JournalMismatchError) as refused:
        books.add(reread(message_of(shard)))
    mismatch = refused.value.mismatch
    assert (mismatch.wallet_id, mismatch.what) == (ann, "status")
    assert mismatch.expected.startswith(f"{expected} of a frozen wallet")


def test_what_was_decided_before_a_freeze_still_lands() -> None:
    """A credit of another shard and a return, in the record of the freeze and in the next."""
    shard, books, ann, _ = two_wallets()
    shard.change(ann, FROZEN)
    for leg in (0, 128):
        intent = events.Intent(leg=leg, destination=ann, currency_code="EUR", amount_minor=7)
        shard.land(new_id(1), intent)
        shard.commit()
        books.add(reread(message_of(shard)))
    assert (books.accounts[ann].posted, books.accounts[ann].status) == (114, FROZEN)


def test_postings_before_a_freeze_in_its_record_stand() -> None:
    """Their versions are below the freeze's, wherever the record has them."""
    shard, books, ann, bob = two_wallets()
    shard.transfer(ann, bob, 60)
    shard.change(ann, FROZEN)
    shard.commit()
    books.add(reread(message_of(shard)))
    assert (books.accounts[ann].posted, books.accounts[ann].status) == (40, FROZEN)
