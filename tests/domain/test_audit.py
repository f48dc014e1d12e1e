"""Admin actions are told beside their changes: one event each, and none where nothing changed."""

import pytest

from tests.domain.commands_for_tests import (
    HERE,
    atomic,
    balance,
    change,
    create,
    deposit,
    freeze_account,
    limit,
    limit_account,
    line,
    make_batch,
    make_id,
    post,
    register,
    reverse,
    transfer,
    update,
)
from wallet.domain import idempotency
from wallet.domain.audit import NO_CAUSE, AuditEvent, Cause
from wallet.domain.batch import Batch
from wallet.domain.bound import encode_limits
from wallet.domain.commands import Command, Limits, VelocityLimit
from wallet.domain.decide import decide
from wallet.domain.kinds import (
    AccountFreeze,
    AuditAction,
    TransactionType,
    VelocityBasis,
    VelocityWindow,
    WalletChangeKind,
    WalletStatus,
)
from walletkit.errors import ServiceError

A, B = make_id(HERE, 1), make_id(HERE, 2)
ORIGINAL = make_id(HERE, 9)
CAUSE = Cause("ops-1", "call-1", "because")
SMALL = Limits(max_transaction=5)
CLOSED, FROZEN, UNFROZEN = (
    *(WalletChangeKind.CLOSED, WalletChangeKind.FROZEN),
    WalletChangeKind.UNFROZEN,
)
LIMITS = Limits(
    5, None, 9, None, 3, (VelocityLimit(VelocityWindow.DAY, VelocityBasis.DEBITS, 7, 2),)
)


def fresh(posted: int = 0) -> Batch:
    """Make a batch with all wallets of an account."""
    batch = make_batch({A: balance(posted), B: balance(posted)})
    batch.account_wallets["someone"] = (A, B)
    return batch


def done(batch: Batch, *commands: Command) -> list[AuditEvent]:
    """Carry commands out as it must be possible; return the events."""
    for command in commands:
        outcome = decide(batch, command)
        assert not isinstance(outcome, ServiceError), outcome
    return batch.changes.audit_events


def test_life_of_a_wallet_is_told_in_order() -> None:
    """Each change of a status has its event, beside it; creations and updates have none."""
    batch = fresh()
    events = done(
        batch,
        create(HERE, key="0"),
        change(FROZEN, A, key="1")._replace(cause=CAUSE),
        update(A, key="2"),
        change(UNFROZEN, A, key="3"),
        change(CLOSED, A, key="4"),
    )
    assert events == [
        AuditEvent(AuditAction.FREEZE_WALLET, 1, CAUSE),
        AuditEvent(AuditAction.UNFREEZE_WALLET, 3, NO_CAUSE),
        AuditEvent(AuditAction.CLOSE_WALLET, 4, NO_CAUSE),
    ]
    assert [batch.changes.wallets[event.place].kind for event in events] == [
        *(FROZEN, UNFROZEN, CLOSED)
    ]


def test_limits_are_told_as_they_were() -> None:
    """Those before are the event's to say: by each setting, and by the end of the wallet."""
    first, second = (
        limit(A, Limits(overdraft=7), key="1"),
        limit(A, SMALL._replace(overdraft=2), key="2"),
    )
    events = done(fresh(), first, second, change(CLOSED, A, key="3"))
    assert [event.previous_limits for event in events] == [
        b"",
        encode_limits(Limits(overdraft=7)),
        encode_limits(SMALL._replace(overdraft=2)),
    ]


def test_account_is_told_once_for_all_its_wallets() -> None:
    """However many wallets change with it, an account's action is one event."""
    batch = fresh()
    events = done(
        batch,
        freeze_account(AccountFreeze.DEBITS, key="1")._replace(cause=CAUSE),
        limit_account(SMALL, key="2"),
        limit_account(Limits(), key="3"),
        freeze_account(AccountFreeze.NONE, key="4"),
    )
    assert len(batch.changes.wallets) == 8
    assert events == [
        AuditEvent(AuditAction.FREEZE_ACCOUNT, 0, CAUSE),
        AuditEvent(AuditAction.SET_ACCOUNT_LIMITS, 1, NO_CAUSE),
        AuditEvent(AuditAction.SET_ACCOUNT_LIMITS, 2, NO_CAUSE, encode_limits(SMALL)),
        AuditEvent(AuditAction.UNFREEZE_ACCOUNT, 3, NO_CAUSE, previous_freeze=AccountFreeze.DEBITS),
    ]


def test_reversals_tell_how_much_was_reversed_before() -> None:
    """The event stands beside the reversal, not beside other transactions of the batch."""
    batch = fresh(100)
    original = transfer(B, A, 50)
    back = reverse(original, 10, key="2")
    again = reverse(original, 5, key="3")
    events = done(batch, transfer(A, B, key="1"), back._replace(cause=CAUSE), again)
    action = AuditAction.REVERSE_TRANSACTION
    assert events == [
        AuditEvent(action, 1, CAUSE),
        AuditEvent(action, 2, NO_CAUSE, previous_reversed=10),
    ]
    kinds = [batch.changes.transactions[event.place].command.type for event in events]
    assert kinds == [TransactionType.REVERSAL] * 2


def test_several_postings_are_told_only_where_they_reverse() -> None:
    """The same command posts and reverses; only the latter is an admin action."""
    posted = post(line(A, B, 5), key="1")
    reversed_ = post(line(B, A, 5), key="2")._replace(original=ORIGINAL, cause=CAUSE)
    events = done(fresh(100), posted, reversed_)
    assert events == [AuditEvent(AuditAction.REVERSE_TRANSACTION, 1, CAUSE)]


def test_asset_is_told_when_it_is_new() -> None:
    """Who registers what is there already has changed nothing."""
    events = done(fresh(), register(key="1"), register(key="2"))
    assert events == [AuditEvent(AuditAction.REGISTER_ASSET, 0, NO_CAUSE)]


def test_money_and_declines_are_not_told() -> None:
    """What moves money, and what is refused, leaves no event."""
    batch = fresh()
    done(batch, deposit(A, key="1"), transfer(A, B, 1, key="2"))
    for command in (change(UNFROZEN, A, key="3"), change(CLOSED, A, key="4")):
        assert isinstance(decide(batch, command), ServiceError)
    assert batch.changes.audit_events == []


def test_replay_is_not_told_again() -> None:
    """The same key twice in a batch is one action."""
    command = change(FROZEN, A)
    assert len(done(fresh(), command, command._replace(ref=make_id(HERE)))) == 1


@pytest.mark.parametrize("fails", [False, True])
def test_atomic_actions_are_told_all_or_none(fails: bool) -> None:  # noqa: FBT001  # a case
    """What an atomic batch undoes was never done."""
    batch = fresh(100)
    done(batch, change(FROZEN, B, key="0"), change(UNFROZEN, B, key="1"))
    original = transfer(B, A, 15)
    parts = [reverse(original, 10, key="2"), reverse(original, 10 if fails else 5, key="3")]
    outcome = decide(batch, atomic(*parts))
    assert isinstance(outcome, ServiceError) == fails
    told = [(event.place, event.previous_reversed) for event in batch.changes.audit_events[2:]]
    assert told == ([] if fails else [(0, 0), (1, 10)])


PINNED = [
    (
        idempotency.status_fingerprint(2, bytes(range(16))),
        "01e3776733a556ab99cc84b1467ad5a23dc4c79978dacc2fd7173db24c01dc7bbf",
    ),
    (
        idempotency.status_fingerprint(2, bytes(range(16)), WalletStatus.DEBITS_FROZEN, 4),
        "0128bbc37cdf642ad8874900b1d67e3c0c012b4796d318051dfb7ed8283cb2e8e0",
    ),
    (
        idempotency.wallet_limits_fingerprint(bytes(range(16)), LIMITS, -1),
        "010db3ddf4ab87a055d077e5121332eb02f3916bcc86bda375f9b26f7669e9e4b7",
    ),
    (
        idempotency.account_limits_fingerprint("ann", "EUR", LIMITS),
        "01ae7b805b6585f334d33c97ee9bff17e8767d268f0511793a9e34708dec1bc9f6",
    ),
    (
        idempotency.freeze_fingerprint("ann", AccountFreeze.ALL),
        "01a3d5c168a3586a6562cb468bc1fb0dd4cfea27083cb4a1acb7b61500615ab26b",
    ),
    (
        idempotency.asset_fingerprint("GOLD", 4),
        "017aa4ef4c7aa52fd9e7cab613e5cb1966c0d05899c18dfdadee63a86f66da48ba",
    ),
]


@pytest.mark.parametrize(("fingerprint", "pinned"), PINNED)
def test_fingerprint_without_a_reason_is_as_ever(fingerprint: bytes, pinned: str) -> None:
    """Keys from before there were reasons live on."""
    assert fingerprint.hex() == pinned


def test_reason_is_part_of_the_fingerprint_and_no_other_part() -> None:
    """Another reason is another request; none can be taken for a status and version."""
    status = idempotency.status_fingerprint
    packed = b"\x04" + (5).to_bytes(8, "big")
    assert packed.decode()
    fingerprints = [
        status(2, A),
        status(2, A, reason="a"),
        status(2, A, reason=packed.decode()),
        status(2, A, WalletStatus.DEBITS_FROZEN, 5),
        status(2, A, WalletStatus.DEBITS_FROZEN, 5, "a"),
        idempotency.wallet_limits_fingerprint(A, LIMITS, 1, "a"),
        idempotency.account_limits_fingerprint("a", "EUR", LIMITS, "a"),
        idempotency.freeze_fingerprint("a", AccountFreeze.ALL, "a"),
        idempotency.asset_fingerprint("GOLD", 4, "a"),
        *[bytes.fromhex(pinned) for _, pinned in PINNED],
    ]
    assert len(set(fingerprints)) == len(fingerprints)
