"""Each change sends what it was given, carries one key over its attempts, and takes a deadline."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import pytest
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from guilder.client import Guilder, Money, UnavailableError, parse_amount, posting
from guilder.wallet.v1.holds_pb2 import (
    AuthorizeRequest,
    CaptureHoldRequest,
    ExtendHoldRequest,
    IncrementHoldRequest,
    VoidHoldRequest,
)
from guilder.wallet.v1.limits_pb2 import (
    FreezeAccountRequest,
    RegisterAssetRequest,
    SetAccountLimitsRequest,
    SetWalletLimitsRequest,
    UnfreezeAccountRequest,
)
from guilder.wallet.v1.postings_pb2 import (
    Posting,
    PostTransactionRequest,
    ReverseTransactionRequest,
)
from guilder.wallet.v1.resources_pb2 import (
    FREEZE_SCOPE_DEBITS,
    AccountLimits,
    WalletLimits,
)
from guilder.wallet.v1.wallet_service_pb2 import (
    CloseWalletRequest,
    CreateWalletRequest,
    DepositRequest,
    FreezeWalletRequest,
    TransferRequest,
    UnfreezeWalletRequest,
    UpdateWalletRequest,
    WithdrawRequest,
)
from tests.client.fake_wallet import QUICK, FakeWallet, empty, serving, unavailable

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
AT_NOON = Timestamp(seconds=int(NOON.timestamp()))
EURO = ("EUR", 100)
SENT = Money(currency_code="EUR", amount_minor=100)

Call = Callable[[Guilder], Awaitable[object]]

CHANGES: list[tuple[Call, Message]] = [
    (
        lambda it: it.wallet.create_wallet("alice", "EUR", {"a": "b"}, alias="main"),
        CreateWalletRequest(
            account_id="alice", currency_code="EUR", metadata={"a": "b"}, alias="main"
        ),
    ),
    (
        lambda it: it.wallet.update_wallet("alias:alice/main", {"a": "b"}, expected_version=0),
        UpdateWalletRequest(wallet_id="alias:alice/main", metadata={"a": "b"}, expected_version=0),
    ),
    (
        lambda it: it.wallet.deposit("w", EURO, effective_time=NOON, validate_only=True),
        DepositRequest(wallet_id="w", amount=SENT, effective_time=AT_NOON, validate_only=True),
    ),
    (
        lambda it: it.wallet.withdraw("w", EURO, reference="r", metadata={"a": "b"}),
        WithdrawRequest(wallet_id="w", amount=SENT, reference="r", metadata={"a": "b"}),
    ),
    (
        lambda it: it.wallet.transfer("v", "w", SENT, description="d", expected_version=7),
        TransferRequest(
            source_wallet_id="v",
            destination_wallet_id="w",
            amount=SENT,
            description="d",
            expected_version=7,
        ),
    ),
    (
        lambda it: it.wallet.post_transaction(
            [posting("v", "sys:fees", EURO)], expected_versions={"v": 3}, effective_time=NOON
        ),
        PostTransactionRequest(
            postings=[Posting(source_wallet_id="v", destination_wallet_id="sys:fees", amount=SENT)],
            expected_versions={"v": 3},
            effective_time=AT_NOON,
        ),
    ),
    (
        lambda it: it.wallet.reverse_transaction("t", reason="broken", actor="ann"),
        ReverseTransactionRequest(transaction_id="t", reason="broken", actor="ann"),
    ),
    (
        lambda it: it.wallet.reverse_transaction("t", EURO),
        ReverseTransactionRequest(transaction_id="t", amount=SENT),
    ),
    (
        lambda it: it.wallet.freeze_wallet("w", scope=FREEZE_SCOPE_DEBITS),
        FreezeWalletRequest(wallet_id="w", scope=FREEZE_SCOPE_DEBITS),
    ),
    (
        lambda it: it.wallet.freeze_wallet("w", reason="why"),
        FreezeWalletRequest(wallet_id="w", reason="why"),
    ),
    (
        lambda it: it.wallet.unfreeze_wallet("w", reason="why"),
        UnfreezeWalletRequest(wallet_id="w", reason="why"),
    ),
    (
        lambda it: it.wallet.close_wallet("w", validate_only=True, reason="why"),
        CloseWalletRequest(wallet_id="w", validate_only=True, reason="why"),
    ),
    (
        lambda it: it.holds.authorize("w", EURO, destination_wallet_id="v", expire_time=NOON),
        AuthorizeRequest(
            wallet_id="w", amount=SENT, destination_wallet_id="v", expire_time=AT_NOON
        ),
    ),
    (
        lambda it: it.holds.increment_hold("h", EURO),
        IncrementHoldRequest(hold_id="h", amount=SENT),
    ),
    (
        lambda it: it.holds.extend_hold("h", NOON),
        ExtendHoldRequest(hold_id="h", expire_time=AT_NOON),
    ),
    (
        lambda it: it.holds.capture_hold("h", EURO, final=True, destination_wallet_id="v"),
        CaptureHoldRequest(hold_id="h", amount=SENT, final=True, destination_wallet_id="v"),
    ),
    (lambda it: it.holds.capture_hold("h"), CaptureHoldRequest(hold_id="h")),
    (
        lambda it: it.holds.void_hold("h", expected_version=2),
        VoidHoldRequest(hold_id="h", expected_version=2),
    ),
    (
        lambda it: it.limits.set_wallet_limits("w", WalletLimits(overdraft_limit_minor=5)),
        SetWalletLimitsRequest(wallet_id="w", limits=WalletLimits(overdraft_limit_minor=5)),
    ),
    (
        lambda it: it.limits.set_account_limits("alice", "EUR", AccountLimits(), reason="why"),
        SetAccountLimitsRequest(
            account_id="alice", currency_code="EUR", limits=AccountLimits(), reason="why"
        ),
    ),
    (
        lambda it: it.accounts.freeze_account("alice", scope=FREEZE_SCOPE_DEBITS),
        FreezeAccountRequest(account_id="alice", scope=FREEZE_SCOPE_DEBITS),
    ),
    (
        lambda it: it.accounts.unfreeze_account("alice", reason="why"),
        UnfreezeAccountRequest(account_id="alice", reason="why"),
    ),
    (
        lambda it: it.assets.register_asset("GOLD", 4, reason="why"),
        RegisterAssetRequest(currency_code="GOLD", exponent=4, reason="why"),
    ),
]

READS: list[Call] = [
    lambda it: it.wallet.get_wallet("w", timeout_seconds=0.7),
    lambda it: it.wallet.get_balance("w", timeout_seconds=0.7),
    lambda it: it.wallet.get_transaction("t", timeout_seconds=0.7),
    lambda it: it.wallet.get_transaction_family("t", timeout_seconds=0.7),
    lambda it: it.holds.get_hold("h", timeout_seconds=0.7),
    lambda it: it.limits.get_wallet_limits("w", timeout_seconds=0.7),
    lambda it: it.limits.get_account_limits("alice", "EUR", timeout_seconds=0.7),
    lambda it: it.assets.list_assets(timeout_seconds=0.7),
    lambda it: it.audit.list_shards(timeout_seconds=0.7),
    lambda it: it.ledger.get_balance("w", at_effective_time=NOON, timeout_seconds=0.7),
    lambda it: it.ledger.get_trial_balance(at_time=NOON, timeout_seconds=0.7),
    lambda it: it.ledger.get_chart_of_accounts(timeout_seconds=0.7),
]


@pytest.mark.parametrize(("call", "expected"), CHANGES)
async def test_a_change_is_sent_as_given_with_one_key(call: Call, expected: Message) -> None:
    """The request has what the caller gave; a key of its own stays the same while it is retried."""
    fake = FakeWallet(unavailable, unavailable, empty)
    async with serving(fake) as guilder:
        await call(guilder)
    first, second, third = fake.requests
    assert first == second == third
    assert 1 <= len(first.idempotency_key) <= 128
    first.ClearField("idempotency_key")
    assert first == expected


@pytest.mark.parametrize(("call", "expected"), CHANGES)
async def test_a_change_is_given_up_after_the_attempts(call: Call, expected: Message) -> None:
    """Retries of every change are bounded."""
    fake = FakeWallet(unavailable)
    async with serving(fake) as guilder:
        with pytest.raises(UnavailableError):
            await call(guilder)
    assert len(fake.requests) == QUICK.max_attempts


@pytest.mark.parametrize("call", READS)
async def test_a_read_is_tried_again_with_its_own_deadline(call: Call) -> None:
    """A read goes again while the service is away; the deadline of the call is each attempt's."""
    fake = FakeWallet(unavailable, empty)
    async with serving(fake) as guilder:
        await call(guilder)
    assert len(fake.requests) == 2
    # On its way a deadline is rounded up a little.
    assert all(left is not None and 0 < left < 0.8 for left in fake.deadlines)


async def test_the_deadline_of_the_policy_holds_where_none_is_given() -> None:
    """Without a deadline of its own a call has the policy's."""
    fake = FakeWallet(empty)
    async with serving(fake) as guilder:
        await guilder.holds.authorize("w", EURO)
        await guilder.holds.authorize("w", EURO, timeout_seconds=0.5)
    one, two = fake.deadlines
    assert one is not None
    assert two is not None
    assert 1.0 < one < QUICK.timeout_seconds + 0.1
    assert two < 0.6


async def test_a_naive_time_is_refused_before_anything_is_sent() -> None:
    """A moment without a zone is a ValueError of the caller."""
    fake = FakeWallet(empty)
    async with serving(fake) as guilder:
        with pytest.raises(ValueError, match="zone"):
            await guilder.wallet.deposit("w", EURO, effective_time=NOON.replace(tzinfo=None))
    assert fake.requests == []


def test_amounts_of_registered_assets_need_their_exponent() -> None:
    """An asset that ISO 4217 does not know is read by the exponent it was registered with."""
    assert parse_amount("1.2345", "GOLD", 4).amount_minor == 12_345
    assert parse_amount("1.23", "EUR", 4).amount_minor == 123
    with pytest.raises(ValueError, match="unknown currency"):
        parse_amount("1.2345", "GOLD")
    with pytest.raises(ValueError, match=r"from 0\.0001 to 100000000000\.0000 GOLD"):
        parse_amount("0", "GOLD", 4)
