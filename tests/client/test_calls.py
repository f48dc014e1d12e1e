"""Calls carry deadlines, are tried again only where that is safe, and fail with typed errors."""

import asyncio

import grpc
import pytest
from google.protobuf.message import Message

from guilder.client import (
    CallPolicy,
    DeadlineExceededError,
    Guilder,
    GuilderError,
    InsufficientFundsError,
    InvalidArgumentError,
    OutcomeUnknownError,
    UnavailableError,
    parse_amount,
)
from guilder.wallet.v1.resources_pb2 import Wallet
from guilder.wallet.v1.wallet_service_pb2 import DepositResponse, ListWalletsResponse
from tests.client.fake_wallet import QUICK, Context, FakeWallet, Step, serving, unavailable
from walletkit.errors import ServiceError, invalid_field

AMOUNT = parse_amount("1.00", "EUR")


def made(_request: Message) -> DepositResponse:
    """Answer a deposit."""
    return DepositResponse(replayed=False)


def declined(_request: Message) -> DepositResponse:
    """Decline a deposit."""
    raise ServiceError("INSUFFICIENT_FUNDS", "too little", {"available": "1", "required": "2"})


def malformed(_request: Message) -> DepositResponse:
    """Refuse a field."""
    raise invalid_field("wallet_id", "x", "must be a UUID")


async def test_an_own_key_stays_the_same_over_retries() -> None:
    """A caller that gives no key gets one, and every attempt of the call carries it."""
    fake = FakeWallet(unavailable, unavailable, made)
    async with serving(fake) as guilder:
        await guilder.wallet.deposit("w", AMOUNT)
        await guilder.wallet.deposit("w", AMOUNT)
    keys = [request.idempotency_key for request in fake.requests]
    assert len(keys) == 4
    assert len(set(keys[:3])) == 1
    assert keys[3] != keys[0]


async def test_a_given_key_is_used() -> None:
    """The caller's key goes out as it is."""
    fake = FakeWallet(made)
    async with serving(fake) as guilder:
        await guilder.wallet.deposit("w", AMOUNT, idempotency_key="mine")
    assert fake.requests[0].idempotency_key == "mine"


async def test_retries_are_bounded() -> None:
    """A service that stays away is given up after the policy's attempts, by its reason."""
    fake = FakeWallet(unavailable)
    async with serving(fake) as guilder:
        with pytest.raises(OutcomeUnknownError) as caught:
            await guilder.wallet.deposit("w", AMOUNT)
    assert len(fake.requests) == QUICK.max_attempts
    assert caught.value.reason == "OUTCOME_UNKNOWN"


async def test_nobody_listens() -> None:
    """Without a service at the address the call fails as unavailable, though no status came."""
    async with serving(FakeWallet(made)) as guilder:
        addresses = guilder.addresses
    async with Guilder(addresses, QUICK) as late:
        with pytest.raises(UnavailableError) as caught:
            await late.wallet.get_balance("w")
    assert caught.value.code is grpc.StatusCode.UNAVAILABLE


async def test_a_decline_is_not_tried_again() -> None:
    """A decision is an answer: it comes back at once, with code, reason and values."""
    fake = FakeWallet(declined)
    async with serving(fake) as guilder:
        with pytest.raises(InsufficientFundsError) as caught:
            await guilder.wallet.deposit("w", AMOUNT)
    assert len(fake.requests) == 1
    assert caught.value.code is grpc.StatusCode.FAILED_PRECONDITION
    assert caught.value.metadata == {"available": "1", "required": "2"}


async def test_a_malformed_field_is_named() -> None:
    """An invalid argument carries each field with its rule."""
    async with serving(FakeWallet(malformed)) as guilder:
        with pytest.raises(InvalidArgumentError) as caught:
            await guilder.wallet.deposit("x", AMOUNT)
    (violation,) = caught.value.violations
    assert violation.field == "wallet_id"
    assert "must be a UUID" in violation.description


class Silent(FakeWallet):
    """Never answers."""

    async def unary(self, request: Message, _context: Context) -> Message:
        """Wait for ever."""
        self.requests.append(request)
        await asyncio.Event().wait()
        return request


async def test_every_call_has_a_deadline() -> None:
    """A call without an answer ends by its deadline; it is safe to repeat, and is repeated."""
    fake = Silent(made)
    policy = CallPolicy(timeout_seconds=0.1, max_attempts=2, first_wait_seconds=0.001)
    async with serving(fake, policy) as guilder:
        with pytest.raises(DeadlineExceededError):
            await guilder.wallet.deposit("w", AMOUNT)
    assert len(fake.requests) == 2
    assert fake.requests[0] == fake.requests[1]


def page(*ids: str, token: str = "") -> Step:
    """Make a step that answers with a page of wallets."""
    wallets = [Wallet(wallet_id=item) for item in ids]
    return lambda _request: ListWalletsResponse(wallets=wallets, next_page_token=token)


async def test_pages_are_one_iterator() -> None:
    """Items of all pages come in order; each page is asked for with the token of the one before."""
    fake = FakeWallet(page("a", "b", token="t1"), page(token="t2"), page("c"))
    async with serving(fake) as guilder:
        found = [wallet.wallet_id async for wallet in guilder.wallet.list_wallets("alice")]
    assert found == ["a", "b", "c"]
    assert [request.page_token for request in fake.requests] == ["", "t1", "t2"]


async def test_a_limit_ends_the_pages() -> None:
    """With a limit no more is asked for than needed."""
    fake = FakeWallet(page("a", "b", token="t1"), page("c", "d", token="t2"))
    async with serving(fake) as guilder:
        found = [item.wallet_id async for item in guilder.wallet.list_wallets("alice", limit=3)]
    assert found == ["a", "b", "c"]
    assert [request.page_size for request in fake.requests] == [3, 3]


async def test_a_token_that_repeats_is_no_endless_loop() -> None:
    """A service that gives the same token again is an error."""
    async with serving(FakeWallet(page("a", token="same"))) as guilder:
        with pytest.raises(RuntimeError, match="same page token"):
            _ = [item async for item in guilder.wallet.list_wallets("alice")]


class Foreign(FakeWallet):
    """Answers by a bare status."""

    async def unary(self, _request: Message, context: Context) -> Message:
        """Refuse."""
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, "no such method")
        raise AssertionError


async def test_an_error_without_details_keeps_its_code() -> None:
    """A status that another program made has its code's name as reason."""
    async with serving(Foreign(made)) as guilder:
        with pytest.raises(GuilderError) as caught:
            await guilder.wallet.get_wallet("w")
    assert caught.value.code is grpc.StatusCode.UNIMPLEMENTED
    assert caught.value.reason == "UNIMPLEMENTED"
