"""Batches of any commands: each for itself with retries of its own, or all with one key."""

import pytest
from google.protobuf.message import Message

from guilder.client import (
    Command,
    GuilderError,
    InsufficientFundsError,
    UnavailableError,
    authorize_request,
    capture_hold_request,
    deposit_request,
    extend_hold_request,
    increment_hold_request,
    post_transaction_request,
    reverse_transaction_request,
    transfer_request,
    void_hold_request,
    withdraw_request,
)
from guilder.wallet.v1.holds_pb2 import AuthorizeResponse
from guilder.wallet.v1.wallet_service_pb2 import (
    BatchExecuteRequest,
    BatchExecuteResponse,
    BatchResult,
    DepositResponse,
)
from tests.client.fake_wallet import QUICK, FakeWallet, serving, unavailable
from tests.client.test_requests import EURO, NOON
from walletkit.errors import ServiceError
from walletkit.rpc.status import to_status


def commands() -> list[Command]:
    """Make one of each kind."""
    return [
        deposit_request("w", EURO),
        withdraw_request("w", EURO),
        transfer_request("v", "w", EURO),
        authorize_request("w", EURO),
        increment_hold_request("h", EURO),
        extend_hold_request("h", NOON),
        capture_hold_request("h", EURO),
        void_hold_request("h"),
        reverse_transaction_request("t"),
        post_transaction_request([]),
    ]


def answer_all(request: BatchExecuteRequest) -> BatchExecuteResponse:
    """Answer each command by the result of its kind."""
    results = []
    for command in request.commands:
        result = BatchResult()
        getattr(result, command.WhichOneof("command") or "").SetInParent()
        results.append(result)
    return BatchExecuteResponse(results=results)


def refused(reason: str) -> BatchResult:
    """Refuse a command."""
    return BatchResult(error=to_status(ServiceError(reason, "no")))


async def test_each_kind_of_command_has_its_response() -> None:
    """All ten kinds go in as they are made, and come back as the reply of their own call."""
    fake = FakeWallet(answer_all)
    made = commands()
    async with serving(fake) as guilder:
        outcomes = await guilder.wallet.batch_execute(made, validate_only=True)
    (request,) = fake.requests
    assert request.validate_only
    assert not request.atomic
    assert request.idempotency_key == ""
    sent = [getattr(item, item.WhichOneof("command")) for item in request.commands]
    assert sent == made
    assert [type(item).__name__ for item in outcomes] == [
        type(item).__name__.replace("Request", "Response") for item in made
    ]


async def test_only_unavailable_commands_are_sent_again() -> None:
    """What met an unavailable shard goes again with its key; what was decided does not."""

    def step(request: BatchExecuteRequest) -> BatchExecuteResponse:
        results = [
            refused("SHARD_UNAVAILABLE"),
            refused("INSUFFICIENT_FUNDS"),
            BatchResult(authorize=AuthorizeResponse()),
        ]
        return BatchExecuteResponse(results=results)

    fake = FakeWallet(step, answer_all)
    made: list[Command] = [
        deposit_request("w", EURO, idempotency_key="mine"),
        withdraw_request("w", EURO),
        authorize_request("w", EURO),
    ]
    async with serving(fake) as guilder:
        first, second, third = await guilder.wallet.batch_execute(made)
    assert isinstance(first, DepositResponse)
    assert isinstance(second, InsufficientFundsError)
    assert isinstance(third, AuthorizeResponse)
    (again,) = fake.requests[1].commands
    assert again.deposit.idempotency_key == "mine"


async def test_an_atomic_batch_has_one_key() -> None:
    """Its commands go without keys, and the caller's own stay as they were; it is retried whole."""
    fake = FakeWallet(unavailable, answer_all)
    made = commands()
    made[0].validate_only = True
    keys = [item.idempotency_key for item in made]
    async with serving(fake) as guilder:
        responses = await guilder.wallet.batch_execute_atomic(made)
    assert len(responses) == len(made)
    first, second = fake.requests
    assert first == second
    assert first.atomic
    assert first.idempotency_key
    for item in first.commands:
        command = getattr(item, item.WhichOneof("command"))
        assert (command.idempotency_key, command.validate_only) == ("", False)
    assert [item.idempotency_key for item in made] == keys


async def test_an_atomic_batch_that_is_refused_names_the_command() -> None:
    """All are refused with the error of the one, which says where it stands."""

    def step(_request: Message) -> Message:
        raise ServiceError("INSUFFICIENT_FUNDS", "no", {"failed_index": "3"})

    fake = FakeWallet(step)
    async with serving(fake) as guilder:
        with pytest.raises(InsufficientFundsError) as caught:
            await guilder.wallet.batch_execute_atomic(commands(), idempotency_key="k")
    assert caught.value.metadata["failed_index"] == "3"
    assert [request.idempotency_key for request in fake.requests] == ["k"]


async def test_an_atomic_batch_is_given_up_after_the_attempts() -> None:
    """Its retries are bounded as those of any change."""
    fake = FakeWallet(unavailable)
    async with serving(fake) as guilder:
        with pytest.raises(UnavailableError):
            await guilder.wallet.batch_execute_atomic(commands())
    assert len(fake.requests) == QUICK.max_attempts


@pytest.mark.parametrize("results", [[], [BatchResult()] * 10])
async def test_an_answer_that_does_not_fit_is_an_error(results: list[BatchResult]) -> None:
    """Too few results, or results without content, are the service's fault; never a success."""
    fake = FakeWallet(lambda _request: BatchExecuteResponse(results=results))
    async with serving(fake) as guilder:
        with pytest.raises(GuilderError) as caught:
            await guilder.wallet.batch_execute_atomic(commands())
    assert caught.value.reason == "INTERNAL"
