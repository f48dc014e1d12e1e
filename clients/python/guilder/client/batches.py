"""Send many changes at once, and again what was not answered. Client room: over the stubs.

Each item has a key of its own, or the atomic batch has one, so all of it can be sent again.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import grpc
import grpc.aio

from guilder.client.calls import CallPolicy, call_unary
from guilder.client.commands import Command, CommandResponse, atomic_command, batch_command
from guilder.client.errors import GuilderError
from guilder.client.options import DryRunFields
from guilder.client.statuses import from_status
from guilder.wallet.v1.wallet_service_pb2 import (
    BatchExecuteRequest,
    BatchExecuteResponse,
    BatchResult,
    BatchTransferRequest,
    BatchTransferResponse,
    TransferRequest,
    TransferResponse,
    TransferResult,
)

Outcome = TransferResponse | GuilderError
"""What became of one transfer."""

CommandOutcome = CommandResponse | GuilderError
"""What became of one command."""

OutcomeT = TypeVar("OutcomeT", Outcome, CommandOutcome)

BatchMethod = grpc.aio.UnaryUnaryMultiCallable[BatchTransferRequest, BatchTransferResponse]
ExecuteMethod = grpc.aio.UnaryUnaryMultiCallable[BatchExecuteRequest, BatchExecuteResponse]


def outcome_of(result: TransferResult) -> Outcome:
    """Return a result's response, or its error as an exception."""
    if result.HasField("error"):
        return from_status(result.error)
    return result.response


def command_outcome_of(result: BatchResult) -> CommandOutcome:
    """Return a result's response, or its error as an exception."""
    kind = result.WhichOneof("result")
    if kind is None:
        message = "a command was answered without a result"
        return GuilderError(grpc.StatusCode.INTERNAL, "INTERNAL", message)
    if kind == "error":
        return from_status(result.error)
    response: CommandResponse = getattr(result, kind)
    return response


async def batch_transfer(
    method: BatchMethod,
    transfers: Sequence[TransferRequest],
    policy: CallPolicy,
    *,
    validate_only: bool = False,
) -> list[Outcome]:
    """Send a batch of transfers; see ``send_all``."""

    async def send(waiting: Sequence[int]) -> list[Outcome]:
        request = BatchTransferRequest(
            transfers=[transfers[at] for at in waiting], validate_only=validate_only
        )
        reply = await call_unary(method, request, policy.once())
        return [outcome_of(result) for result in reply.results]

    return await send_all(send, len(transfers), policy)


async def batch_execute(
    method: ExecuteMethod,
    commands: Sequence[Command],
    policy: CallPolicy,
    *,
    validate_only: bool = False,
) -> list[CommandOutcome]:
    """Send a batch of commands that stand each for itself; see ``send_all``."""
    items = [batch_command(command) for command in commands]

    async def send(waiting: Sequence[int]) -> list[CommandOutcome]:
        request = BatchExecuteRequest(
            commands=[items[at] for at in waiting], validate_only=validate_only
        )
        reply = await call_unary(method, request, policy.once())
        return [command_outcome_of(result) for result in reply.results]

    return await send_all(send, len(items), policy)


async def execute_atomic(
    method: ExecuteMethod, commands: Sequence[Command], policy: CallPolicy, fields: DryRunFields
) -> list[CommandResponse]:
    """Send commands that are carried out all or none; try again as the one change that it is."""
    items = [atomic_command(command) for command in commands]
    reply = await call_unary(
        method, BatchExecuteRequest(commands=items, atomic=True, **fields), policy
    )
    _check_count(len(items), len(reply.results))
    responses: list[CommandResponse] = []
    for result in reply.results:
        outcome = command_outcome_of(result)
        if isinstance(outcome, GuilderError):
            raise outcome
        responses.append(outcome)
    return responses


async def send_all(
    send: Callable[[Sequence[int]], Awaitable[list[OutcomeT]]],
    count: int,
    policy: CallPolicy,
) -> list[OutcomeT]:
    """Send a batch; send again, by the policy, those of it that met ``UnavailableError``.

    ``send`` makes one call, as the batch counts the attempts, for the items of these numbers. Raise
    a call's ``GuilderError`` only where no call was answered. Once one was, the items that still
    waited keep what they met last, if a later call fails.
    """
    outcomes: dict[int, OutcomeT] = {}
    waiting = list(range(count))
    answered = refused = False
    for attempt in range(1, policy.max_attempts + 1):
        fresh: Sequence[OutcomeT]
        try:
            fresh = await send(waiting)
            _check_count(len(waiting), len(fresh))
            answered = True
        except GuilderError as error:
            refused = not policy.is_transient(error)
            if not answered and (refused or attempt == policy.max_attempts):
                raise
            # A refused retry says nothing of an item whose outcome is unknown since before.
            fresh = [outcomes.get(at, error) if refused else error for at in waiting]
        outcomes.update(zip(waiting, fresh, strict=True))
        waiting = [at for at in waiting if _may_go_again(outcomes[at], policy)]
        if not waiting or attempt == policy.max_attempts or refused:
            break
        await asyncio.sleep(policy.wait_seconds(attempt))
    return [outcomes[at] for at in range(count)]


def _check_count(sent: int, answered: int) -> None:
    if sent != answered:
        message = f"{sent} items were sent and {answered} answered"
        raise GuilderError(grpc.StatusCode.INTERNAL, "INTERNAL", message)


def _may_go_again(outcome: object, policy: CallPolicy) -> bool:
    return isinstance(outcome, GuilderError) and policy.is_transient(outcome)
