"""Make calls: a deadline on each attempt, bounded retries with jitter of what is safe. Client room.

Safe are reads, and changes that carry an idempotency key: the key stays the same over all attempts,
so that a change whose answer was lost is answered again and not made again.
"""

import asyncio
import random
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import grpc
import grpc.aio
from tenacity import AsyncRetrying, retry_if_exception, stop_after_attempt

from guilder.client.errors import DeadlineExceededError, UnavailableError
from guilder.client.statuses import from_rpc_error

Req = TypeVar("Req")
Res = TypeVar("Res")

DEFAULT_TIMEOUT_SECONDS = 10.0
"""Deadline of an attempt, where the caller gives none."""

PROOF_TIMEOUT_SECONDS = 600.0
"""Deadline of an attempt to verify a whole shard."""


@dataclass(frozen=True, slots=True)
class CallPolicy:
    """How long and how often a call is tried.

    It ends at the latest after ``max_attempts`` times ``timeout_seconds``, and the waits between.
    """

    timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS
    max_attempts: int = 5
    first_wait_seconds: float = 0.05
    max_wait_seconds: float = 2.0
    retry_deadlines: bool = True

    def wait_seconds(self, attempt: int) -> float:
        """Return the wait after an attempt, counted from 1: random, up to a bound that doubles."""
        bound = min(self.max_wait_seconds, self.first_wait_seconds * 2 ** (attempt - 1))
        return random.uniform(0, bound)  # noqa: S311 - jitter is no secret

    def within(self, timeout_seconds: float | None) -> "CallPolicy":
        """Return the policy of a call that has a deadline of its own; None: this policy's."""
        return self if timeout_seconds is None else replace(self, timeout_seconds=timeout_seconds)

    def for_reads(self, timeout_seconds: float | None = None) -> "CallPolicy":
        """Return the policy of reads: without an effect to ask for, too late is too late."""
        return replace(self.within(timeout_seconds), retry_deadlines=False)

    def once(self) -> "CallPolicy":
        """Return the policy of calls that would happen twice if they were sent twice."""
        return replace(self, max_attempts=1)

    def for_proofs(self, timeout_seconds: float) -> "CallPolicy":
        """Return the policy of calls that read a whole shard: long, and not again when too long."""
        return replace(self, timeout_seconds=timeout_seconds, retry_deadlines=False)

    def is_transient(self, error: BaseException) -> bool:
        """Tell whether the same request with the same key may be sent again."""
        if isinstance(error, DeadlineExceededError):
            return self.retry_deadlines
        return isinstance(error, UnavailableError)

    def retrying(self) -> AsyncRetrying:
        """Return the loop that tries again what is transient."""
        return AsyncRetrying(
            stop=stop_after_attempt(self.max_attempts),
            wait=lambda state: self.wait_seconds(state.attempt_number),
            retry=retry_if_exception(self.is_transient),
            reraise=True,
        )


DEFAULT_POLICY = CallPolicy()


async def call_unary(
    method: grpc.aio.UnaryUnaryMultiCallable[Req, Res],
    request: Req,
    policy: CallPolicy,
) -> Res:
    """Call until it answers or the policy ends; raise ``GuilderError`` by reason."""
    async for attempt in policy.retrying():
        with attempt:
            try:
                return await method(request, timeout=policy.timeout_seconds)
            except grpc.aio.AioRpcError as error:
                raise from_rpc_error(error) from error
    message = "unreachable: the retry loop ends by return or raise"
    raise AssertionError(message)


async def change(
    method: grpc.aio.UnaryUnaryMultiCallable[Req, Res],
    request: Req,
    policy: CallPolicy,
    timeout_seconds: float | None = None,
) -> Res:
    """Make a change that carries its key: tried again while its outcome is unknown."""
    return await call_unary(method, request, policy.within(timeout_seconds))


async def read(
    method: grpc.aio.UnaryUnaryMultiCallable[Req, Res],
    request: Req,
    policy: CallPolicy,
    timeout_seconds: float | None = None,
) -> Res:
    """Read: tried again while the service is away, not when it took too long."""
    return await call_unary(method, request, policy.for_reads(timeout_seconds))


async def read_all(
    method: Callable[..., grpc.aio.UnaryStreamCall[Any, Res]], request: object, policy: CallPolicy
) -> AsyncGenerator[Res]:
    """Yield what a server stream sends; open it again only while nothing has come.

    Behind its first message another stream could tell another story, so its error is the caller's.
    """
    attempt, begun = 1, False
    while True:
        call = method(request, timeout=policy.timeout_seconds)
        try:
            async with aclosing(read_stream(call)) as messages:
                async for message in messages:
                    begun = True
                    yield message
        except UnavailableError as error:
            if begun or attempt >= policy.max_attempts or not policy.is_transient(error):
                raise
            await asyncio.sleep(policy.wait_seconds(attempt))
            attempt += 1
        else:
            return


async def read_stream(call: grpc.aio.UnaryStreamCall[Any, Res]) -> AsyncGenerator[Res]:
    """Yield what a server stream sends, cancel it when left early; raise ``GuilderError``."""
    try:
        async for message in call:
            yield message
    except grpc.aio.AioRpcError as error:
        raise from_rpc_error(error) from error
    finally:
        call.cancel()
