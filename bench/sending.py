"""Send calls that shall succeed: again, with the same keys, while what fails them passes.

Requests and replies are bytes, so that a call costs little here.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import grpc
import grpc.aio

from bench.unary import connections
from guilder.wallet.v1 import wallet_service_pb2 as pb
from walletkit.stack import Stack

_METHOD = "/guilder.wallet.v1.WalletService/{}"
_TIMEOUT_S = 60.0
_CONNECT_TIMEOUT_S = 10.0
_MAX_REPLY_BYTES = 16 * 2**20
_TRIES = 8
_PAUSE_S = 0.25
_LONGEST_PAUSE_S = 10.0
_PASSING = {
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.ABORTED,
}
"""What passes by itself: the same request with the same keys is sent again."""
_PASSING_NUMBERS = {code.value[0] for code in _PASSING}

AnyCall = Any
"""What sends and receives bytes: the stubs of grpc only know messages."""


class FillError(Exception):
    """The suite could not be filled; a later fill goes on from here."""


class Sender:
    """Calls the wallet service; connections take turns."""

    def __init__(self, channels: Sequence[grpc.aio.Channel]) -> None:
        """Send over these."""
        self._channels = channels

    async def batch(
        self,
        method: str,
        number: int,
        request: bytes,
        reply: type[pb.BatchExecuteResponse] | type[pb.BatchTransferResponse],
    ) -> None:
        """Send a batch until all of it is made."""
        why = ""
        for pause in _pauses():
            answer = reply.FromString(await self.call(method, number, request))
            failed = [result.error for result in answer.results if result.HasField("error")]
            if not failed:
                return
            for error in failed:
                if error.code not in _PASSING_NUMBERS:
                    raise FillError(f"{method}: {error.message}")
            why = failed[0].message
            await asyncio.sleep(pause)
        raise FillError(f"{method}: {why}, {_TRIES} times")

    async def call(self, method: str, number: int, request: bytes) -> bytes:
        """Make a call, again while what fails it passes; connections take turns."""
        channel = self._channels[number % len(self._channels)]
        call: AnyCall = channel.unary_unary(_METHOD.format(method))
        why = ""
        for pause in _pauses():
            try:
                answer: bytes = await call(request, timeout=_TIMEOUT_S)
            except grpc.aio.AioRpcError as error:
                why = f"{error.code().name}, {error.details()}"
                if error.code() not in _PASSING:
                    raise FillError(f"{method}: {why}") from error
            else:
                return answer
            await asyncio.sleep(pause)
        raise FillError(f"{method}: {why}, {_TRIES} times")


def _pauses() -> Iterator[float]:
    """Yield how long to wait after each try."""
    for number in range(_TRIES):
        yield min(_PAUSE_S * 2**number, _LONGEST_PAUSE_S)


@asynccontextmanager
async def sender(stack: Stack) -> AsyncIterator[Sender]:
    """Open as many connections to the wallet service as load every worker."""
    options = (
        ("grpc.max_receive_message_length", _MAX_REPLY_BYTES),
        # Or all channels to one address would share one connection.
        ("grpc.use_local_subchannel_pool", 1),
    )
    async with AsyncExitStack() as closing:
        made = []
        for _ in range(connections(stack)):
            channel = grpc.aio.insecure_channel(stack.address("wallet"), options=options)
            made.append(await closing.enter_async_context(channel))
            async with asyncio.timeout(_CONNECT_TIMEOUT_S):
                await channel.channel_ready()
        yield Sender(made)
