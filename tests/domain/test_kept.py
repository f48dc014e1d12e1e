"""How outcomes are kept: these bytes must be readable for as long as any key is kept."""

import pytest

from tests.domain.commands_for_tests import (
    FEES,
    HERE,
    NOW_US,
    THERE,
    authorize,
    capture,
    facts,
    line,
    make_batch,
    make_id,
    post,
    reverse,
    transfer,
    update,
)
from wallet.domain.batch import Batch, Kept
from wallet.domain.capture import capture_transfer
from wallet.domain.commands import Line
from wallet.domain.kept import (
    decode_account,
    decode_hold,
    decode_lines,
    decode_moved,
    decode_posted,
    decode_wallet,
    encode,
)
from wallet.domain.kinds import AccountFreeze, HoldState, TransactionState, WalletStatus
from wallet.domain.outcome import (
    AccountSet,
    AssetSet,
    AtomicSet,
    BalanceAfter,
    Hold,
    HoldSet,
    KeyedOutcome,
    Posted,
    WalletSet,
)
from wallet.domain.post import home_lines, post_transfer
from wallet.domain.replay import replay
from wallet.domain.reversal import reversal_transfer

A, B, FAR, HOLD = make_id(HERE, 1), make_id(HERE, 2), make_id(THERE, 3), make_id(HERE, 4)
AFTER = BalanceAfter(70, 5, 9, 2)
AFTER_HEX = "0000000000000046000000000000000500000000000000090000000000000002"
TIME_HEX = "00060a24181e4000"
PLAIN = BalanceAfter(70, 0, 0, 2)
TRANSFER = transfer(A, B, 30)


def hex_of(after: BalanceAfter) -> str:
    """Write a balance with all that it has."""
    posted, held, overdraft_limit, version = after
    return f"{posted:016x}{held:016x}{overdraft_limit:016x}{version:016x}"


HELD = Hold(HOLD, A, "EUR", B, HoldState.CAPTURED, 30, 10, 20, NOW_US, NOW_US, b"r", b"{}")
HELD_HEX = "02000000000000001e000000000000000a0000000000000014" + TIME_HEX
OPEN = HELD._replace(state=HoldState.AUTHORIZED, captured=0, released=0, expire_time_us=1)
CAPTURE = capture(HOLD, A, destination=B)
REVERSE = reverse(transfer(A, B, 30))
POST = post(line(A, B, 1), line(B, FAR, 2), line(A, FEES, 3))
LINES: tuple[Line, ...] = home_lines(POST.lines, 0)
COMPLETED = TransactionState.COMPLETED

PINNED: list[tuple[KeyedOutcome, str]] = [
    (
        Posted(TRANSFER, COMPLETED, NOW_US, PLAIN, PLAIN._replace(version=9), replayed=True),
        "0a" + TIME_HEX + "03000000000000004600000002000000000000004600000009",
    ),
    (
        Posted(TRANSFER, COMPLETED, NOW_US, None, PLAIN, replayed=True),
        "0a" + TIME_HEX + "02000000000000004600000002",
    ),
    (
        Posted(TRANSFER, COMPLETED, NOW_US, PLAIN, None, replayed=True),
        "0a" + TIME_HEX + "01000000000000004600000002",
    ),
    (Posted(TRANSFER, COMPLETED, NOW_US, None, None, replayed=True), "0a" + TIME_HEX + "00"),
    *[
        (
            Posted(TRANSFER, COMPLETED, NOW_US, PLAIN, odd, replayed=True),
            "01" + TIME_HEX + "03" + hex_of(PLAIN) + hex_of(odd),
        )
        for odd in (
            PLAIN._replace(held=1),
            PLAIN._replace(overdraft_limit=1),
            PLAIN._replace(version=2**32),
        )
    ],
    (
        Posted(
            capture_transfer(CAPTURE, 10), COMPLETED, NOW_US, AFTER, None, replayed=True, hold=HELD
        ),
        "04" + TIME_HEX + "05000000000000000a" + AFTER_HEX + HELD_HEX,
    ),
    (
        Posted(reversal_transfer(REVERSE, 7), COMPLETED, NOW_US, None, AFTER, replayed=True),
        "04" + TIME_HEX + "020000000000000007" + AFTER_HEX,
    ),
    (
        Posted(
            post_transfer(POST, LINES),
            COMPLETED,
            NOW_US,
            None,
            None,
            replayed=True,
            lines=LINES,
            balances=((A, "EUR", AFTER), (B, "EUR", AFTER)),
            legs=(1,),
        ),
        "08" + TIME_HEX + "0103" + AFTER_HEX * 2,
    ),
    (HoldSet(HELD, AFTER, replayed=True), "05" + TIME_HEX + HELD_HEX + AFTER_HEX),
    (
        WalletSet(
            facts(A)._replace(create_time_us=NOW_US),
            WalletStatus.DEBITS_FROZEN,
            AFTER,
            replayed=True,
            account_freeze=AccountFreeze.ALL,
        ),
        "03" + TIME_HEX + "24" + AFTER_HEX,
    ),
    (
        AccountSet("someone", AccountFreeze.DEBITS, 1000, "", None, replayed=True),
        "0601000003e8",
    ),
    (AssetSet("GLD", 2, replayed=True), "07"),
    (AtomicSet((AssetSet("GLD", 2, replayed=True),) * 1000, replayed=True), "0903e8"),
]


@pytest.mark.parametrize(("outcome", "kept"), PINNED)
def test_kept_form_is_pinned(outcome: KeyedOutcome, kept: str) -> None:
    """A change of any of these needs a layout of its own beside it."""
    assert encode(outcome).hex() == kept


@pytest.mark.parametrize(("outcome", "kept"), PINNED[:-2])
def test_kept_form_is_read(outcome: KeyedOutcome, kept: str) -> None:
    """What is read is what was decided; what never changes comes from the command and the rows."""
    read = bytes.fromhex(kept)
    found: object
    if isinstance(outcome, Posted) and outcome.hold:
        told = lambda amount: capture_transfer(CAPTURE, amount)  # noqa: E731
        found = decode_moved(read, told, COMPLETED, OPEN)
    elif isinstance(outcome, Posted) and outcome.lines:
        found = decode_lines(read, post_transfer(POST, LINES), LINES, COMPLETED)
    elif isinstance(outcome, Posted) and outcome.command is TRANSFER:
        found = decode_posted(read, TRANSFER, COMPLETED)
    elif isinstance(outcome, Posted):
        found = decode_moved(read, lambda amount: reversal_transfer(REVERSE, amount), COMPLETED)
    elif isinstance(outcome, HoldSet):
        found = decode_hold(read, OPEN)
    elif isinstance(outcome, WalletSet):
        found = decode_wallet(read, facts(A))
    else:
        found = decode_account(read, "someone")
    assert found == outcome


def replay_of(batch: Batch, command: object, outcome: KeyedOutcome) -> KeyedOutcome:
    """Replay what a command came to in an earlier batch."""
    return replay(batch, command, Kept(make_id(HERE), b"", encode(outcome), None))  # type: ignore[arg-type]


def test_update_replays_its_own_metadata() -> None:
    """What the command has set is told again, though the wallet has other metadata by now."""
    batch = make_batch()
    batch.facts[A] = facts(A)._replace(opaque=b"later")
    first = WalletSet(facts(A)._replace(opaque=b"first"), WalletStatus.ACTIVE, AFTER, replayed=True)
    assert replay_of(batch, update(A, b"first"), first) == first


def test_authorization_replays_without_its_row() -> None:
    """The command and what is kept say all of it, whatever became of the hold."""
    command = authorize(A, 30, destination=B, expire_time_us=0)
    first = HoldSet(
        Hold(
            command.ref,
            A,
            "EUR",
            B,
            HoldState.AUTHORIZED,
            authorized=30,
            captured=0,
            released=0,
            expire_time_us=NOW_US + 7,
            create_time_us=NOW_US,
            reference=b"ref",
            opaque=b"{}",
        ),
        AFTER,
        replayed=True,
    )
    kept = Kept(command.ref, b"", encode(first), None)
    again = command._replace(ref=make_id(HERE))
    assert replay(make_batch(), again, kept) == first
