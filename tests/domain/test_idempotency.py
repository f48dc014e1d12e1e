"""Keys: what names a request, what is kept of a decision, and what a second call gets."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.domain.commands_for_tests import (
    HERE,
    NOW_US,
    balance,
    change,
    create,
    deposit,
    facts,
    make_batch,
    make_id,
    transfer,
    withdrawal,
)
from wallet.domain import idempotency
from wallet.domain.batch import Batch, Kept
from wallet.domain.commands import ChangeStatus, CreateWallet, KeyedCommand, Transfer
from wallet.domain.decide import decide
from wallet.domain.kept import decode_posted, decode_wallet, encode
from wallet.domain.kinds import TransactionState, WalletChangeKind, WalletStatus
from wallet.domain.outcome import BalanceAfter, Posted, WalletSet
from walletkit.errors import CATALOGUE, ServiceError
from walletkit.money import MAX_BALANCE_MINOR

A, B = make_id(HERE, 1), make_id(HERE, 2)

minor = st.integers(-MAX_BALANCE_MINOR - 1, MAX_BALANCE_MINOR)
balances_after = st.builds(BalanceAfter, minor, minor, minor, st.integers(0, 2**64 - 1))
times = st.integers(0, 2**62)
declines = st.builds(
    ServiceError,
    st.sampled_from(sorted(CATALOGUE)),
    st.text(),
    st.dictionaries(st.text(), st.text()),
)


def parts(error: ServiceError) -> tuple[str, str, dict[str, str]]:
    """Take an error apart, to compare."""
    return error.reason, error.message, dict(error.metadata)


@given(
    times,
    st.none() | balances_after,
    st.none() | balances_after,
    st.sampled_from(TransactionState),
)
def test_posted_is_kept_whole(
    time_us: int,
    source: BalanceAfter | None,
    destination: BalanceAfter | None,
    state: TransactionState,
) -> None:
    """What is read is what was decided, with the state of now, and marked as a replay."""
    command = transfer(A, B)
    first = Posted(command, TransactionState.PROCESSING, time_us, source, destination, False)  # noqa: FBT003
    read = decode_posted(encode(first), command, state)
    assert read == first._replace(state=state, replayed=True)


@given(times, balances_after, st.sampled_from(WalletStatus))
def test_wallet_is_kept_whole(time_us: int, after: BalanceAfter, status: WalletStatus) -> None:
    """Status, balance and time are those of the decision."""
    first = WalletSet(facts(A)._replace(create_time_us=time_us), status, after, replayed=False)
    assert decode_wallet(encode(first), facts(A)) == first._replace(replayed=True)


@given(declines)
def test_decline_is_kept_whole(decline: ServiceError) -> None:
    """Reason, message and metadata come back, from either reader."""
    for read in (
        decode_posted(encode(decline), transfer(A, B), TransactionState.COMPLETED),
        decode_wallet(encode(decline), facts(A)),
    ):
        assert isinstance(read, ServiceError)
        assert parts(read) == parts(decline)


def test_kept_form_is_pinned() -> None:
    """Keys outlive releases: these bytes must be readable for as long as any is kept."""
    command = transfer(A, B)
    posted = bytes.fromhex(
        "01"
        "00060a24181e4000"
        "03"
        "0000000000000046"
        "0000000000000000"
        "0000000000000000"
        "0000000000000002"
        "000000000000001e"
        "0000000000000000"
        "0000000000000000"
        "0000000000000005"
    )
    assert decode_posted(posted, command, TransactionState.COMPLETED) == Posted(
        command,
        TransactionState.COMPLETED,
        NOW_US,
        BalanceAfter(70, 0, 0, 2),
        BalanceAfter(30, 0, 0, 5),
        replayed=True,
    )
    kept = {"r": "WALLET_FROZEN", "m": "is frozen", "d": {"wallet_id": "x"}}
    declined = decode_posted(
        b"\x02" + json.dumps(kept).encode(), command, TransactionState.COMPLETED
    )
    assert isinstance(declined, ServiceError)
    assert parts(declined) == ("WALLET_FROZEN", "is frozen", {"wallet_id": "x"})


TRANSFER_FIELDS: dict[str, Any] = {
    "type_": 3,
    "source": A,
    "destination": B,
    "currency": "EUR",
    "amount": 10,
    "expected_version": -1,
    "reference": b"ref",
    "opaque": b'{"d":"x"}',
}
OTHER_VALUES: list[tuple[str, Any]] = [
    ("type_", 2),
    ("source", B),
    ("destination", A),
    ("currency", "USD"),
    ("amount", 11),
    ("expected_version", 1),
    ("reference", b"re"),
    ("reference", b""),
    ("opaque", b'{"d":"y"}'),
    ("opaque", b""),
]


@pytest.mark.parametrize(("field", "value"), OTHER_VALUES)
def test_transfer_fingerprint_covers_each_field(field: str, value: object) -> None:
    """A request that differs in one field is another request."""
    first = idempotency.transfer_fingerprint(**TRANSFER_FIELDS)
    other = idempotency.transfer_fingerprint(**{**TRANSFER_FIELDS, field: value})
    assert first != other
    assert first == idempotency.transfer_fingerprint(**TRANSFER_FIELDS)


def test_transfer_fingerprint_keeps_neighbours_apart() -> None:
    """Bytes can't move from the reference to what follows it without being seen."""
    one = idempotency.transfer_fingerprint(
        **{**TRANSFER_FIELDS, "reference": b"ab", "opaque": b"c"}
    )
    two = idempotency.transfer_fingerprint(
        **{**TRANSFER_FIELDS, "reference": b"a", "opaque": b"bc"}
    )
    assert one != two


def test_other_fingerprints_cover_each_field() -> None:
    """Creations and changes of status differ by each of their fields, and from each other."""
    create_of, status_of = idempotency.create_fingerprint, idempotency.status_fingerprint
    fingerprints = [
        create_of("a", "EUR", b""),
        create_of("b", "EUR", b""),
        create_of("a", "USD", b""),
        create_of("a", "EUR", b"x"),
        create_of("aE", "UR", b""),
        status_of(WalletChangeKind.FROZEN, A),
        status_of(WalletChangeKind.CLOSED, A),
        status_of(WalletChangeKind.FROZEN, B),
        idempotency.transfer_fingerprint(**TRANSFER_FIELDS),
    ]
    assert len(set(fingerprints)) == len(fingerprints)
    assert {fingerprint[:1] for fingerprint in fingerprints} == {b"\x01"}
    assert {len(fingerprint) for fingerprint in fingerprints} == {33}


def test_fingerprint_is_pinned() -> None:
    """It must not change while keys live, or replays would be refused as other requests."""
    fingerprint = idempotency.transfer_fingerprint(**TRANSFER_FIELDS)
    assert fingerprint.hex() == "011f41abce5cc7f620d567a6b6a5d7a270c6495a58e661d6dfb66b94fe57525d04"


@given(
    st.tuples(st.binary(max_size=4), st.binary(max_size=4), st.text("ab", max_size=4)),
    st.tuples(st.binary(max_size=4), st.binary(max_size=4), st.text("ab", max_size=4)),
)
def test_key_hash_tells_scopes_apart(
    one: tuple[bytes, bytes, str], two: tuple[bytes, bytes, str]
) -> None:
    """Client, scope and key each count, wherever one ends and the next begins."""
    assert (idempotency.key_hash(*one) == idempotency.key_hash(*two)) == (one == two)


def fresh_batch(posted: int = 100) -> Batch:
    """Make a batch with two wallets."""
    return make_batch({A: balance(posted), B: balance(posted)})


def again(command: KeyedCommand) -> KeyedCommand:
    """Send the same request again: everything is equal but the id that this call would make."""
    return command._replace(ref=make_id(HERE))


def keep(batch: Batch, command: KeyedCommand, state: TransactionState | None) -> Batch:
    """Make the batch that finds what ``batch`` kept for a command."""
    (key,) = [key for key in batch.changes.keys if key.command is command]
    later = fresh_batch(0)
    later.kept[command.key_hash] = Kept(command.ref, command.fingerprint, key.kept, state)
    return later


COMMANDS: list[KeyedCommand] = [
    transfer(A, B, 30),
    deposit(A, 30),
    withdrawal(A, 30),
    create(HERE),
    change(WalletChangeKind.FROZEN, A),
    transfer(A, B, 101),
    change(WalletChangeKind.CLOSED, A),
]


@pytest.mark.parametrize("command", COMMANDS)
def test_second_call_in_a_batch_gets_the_first_decision(command: KeyedCommand) -> None:
    """The decision and its balances are the first's; nothing happens twice."""
    batch = fresh_batch()
    first = decide(batch, command)
    before = dict(batch.changes.touched), len(batch.changes.keys)
    second = decide(batch, again(command))
    if isinstance(first, ServiceError):
        assert second is first
    else:
        assert isinstance(first, Posted | WalletSet)
        assert second == first._replace(replayed=True)
    assert (dict(batch.changes.touched), len(batch.changes.keys)) == before


@pytest.mark.parametrize("command", COMMANDS)
def test_later_call_gets_the_first_decision(command: KeyedCommand) -> None:
    """Whatever the wallets hold by then, balances and declines are those of the first call."""
    batch = fresh_batch()
    first = decide(batch, command)
    later = keep(batch, command, None)
    second = decide(later, again(command))
    if isinstance(first, ServiceError):
        assert isinstance(second, ServiceError)
        assert parts(second) == parts(first)
    else:
        assert isinstance(first, Posted | WalletSet)
        assert second == first._replace(replayed=True)
    assert not later.changes.any()


@pytest.mark.parametrize("command", COMMANDS)
def test_rerun_of_a_lost_commit_is_no_replay(command: KeyedCommand) -> None:
    """The same call, run again because its commit's answer was lost, gets its own first answer."""
    batch = fresh_batch()
    first = decide(batch, command)
    second = decide(keep(batch, command, None), command)
    if isinstance(first, ServiceError):
        assert isinstance(second, ServiceError)
        assert parts(second) == parts(first)
    else:
        assert second == first


@pytest.mark.parametrize("state", list(TransactionState))
def test_replay_tells_the_state_of_now(state: TransactionState) -> None:
    """A transfer that was PROCESSING may have landed or returned since."""
    batch = fresh_batch()
    decide(batch, command := transfer(A, B, 30))
    second = decide(keep(batch, command, state), again(command))
    assert isinstance(second, Posted)
    assert second.state == state


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (transfer(A, B, 30), transfer(A, B, 31)),
        (transfer(A, B, 30), withdrawal(A, 30)),
        (deposit(A, 30), withdrawal(A, 30)),
        (withdrawal(A, 30), change(WalletChangeKind.FROZEN, A)),
        (change(WalletChangeKind.FROZEN, A), change(WalletChangeKind.UNFROZEN, A)),
        (create(HERE), create(HERE, currency="USD")),
    ],
)
@pytest.mark.parametrize("when", ["same batch", "later"])
def test_key_of_another_request_is_refused(
    first: Transfer | CreateWallet | ChangeStatus,
    second: Transfer | CreateWallet | ChangeStatus,
    when: str,
) -> None:
    """Within one scope a key means one request, of whatever kind; the second changes nothing."""
    batch = fresh_batch()
    assert first.key_hash == second.key_hash
    decide(batch, first)
    if when == "later":
        batch = keep(batch, first, None)
    keys = len(batch.changes.keys)
    refusal = decide(batch, second)
    assert isinstance(refusal, ServiceError)
    assert (refusal.reason, refusal.code) == ("IDEMPOTENCY_KEY_REUSED", "ALREADY_EXISTS")
    assert len(batch.changes.keys) == keys


def test_same_key_of_two_wallets_is_two_keys() -> None:
    """The scope is the debited wallet: nobody's key is in the way of another's."""
    batch = fresh_batch()
    assert isinstance(decide(batch, transfer(A, B, 30)), Posted)
    assert isinstance(decide(batch, transfer(B, A, 40)), Posted)
    assert (batch.balances[A].posted, batch.balances[B].posted) == (110, 90)


def test_idempotency_comes_before_existence() -> None:
    """A replay is answered even when nothing can be known of the other side by now."""
    batch = fresh_batch()
    decide(batch, command := transfer(A, B, 30))
    later = keep(batch, command, TransactionState.COMPLETED)
    later.balances.clear()
    assert isinstance(decide(later, again(command)), Posted)
