"""A stream is held to the credential that began it, on a real server: what it asks, what it tells.

Messages that a caller sends are judged one by one; what a server sends on and on ends with the
credential, also while there is nothing to send.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest

from tests.auth.issuing import Signer, verifier_of, write
from tests.edge.world import reason_of
from walletkit.rpc.admission import Admission
from walletkit.rpc.interceptor import StatusInterceptor

TRANSFERS = "guilder.wallet.v1.WalletService", "StreamTransfers"
BALANCES = "guilder.wallet.v1.WalletAuditService", "StreamBalances"
TIMEOUT_S = 20
DAYS_S = 10 * 86_400
OURS = "system:serviceaccount:guilder:ledger"


class Clock:
    """The verifier's clock: the real one, moved on."""

    def __init__(self) -> None:
        """Begin with the real time."""
        self.ahead_s = 0.0

    def __call__(self) -> float:
        """Return the time."""
        return time.time() + self.ahead_s


class Talk:
    """A stream of the server's that says "on" whenever it is told to, and when it was left."""

    def __init__(self) -> None:
        """Say nothing yet."""
        self.said: asyncio.Queue[bytes] = asyncio.Queue()
        self.left = asyncio.Event()

    async def run(self, _request: bytes, _context: object) -> AsyncIterator[bytes]:
        """Begin, and go on for ever."""
        try:
            yield b"begun"
            while True:
                yield await self.said.get()
        finally:
            self.left.set()


async def echo(requests: AsyncIterator[bytes], _context: object) -> AsyncIterator[bytes]:
    """Answer each message by itself."""
    async for request in requests:
        yield request


@asynccontextmanager
async def serving(
    folder: Path,
    method: tuple[str, str],
    handler: "grpc.RpcMethodHandler[bytes, bytes]",
    clock: Callable[[], float],
) -> AsyncIterator[tuple[grpc.aio.Channel, Signer]]:
    """Serve one method; give a channel to it, and who signs tokens for it."""
    signer = Signer()
    verifier = await verifier_of(write(folder, signer.jwk), OURS, clock=clock)
    server = grpc.aio.server(interceptors=(StatusInterceptor(Admission(True, verifier)),))  # noqa: FBT003
    service, name = method
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler(service, {name: handler}),)
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield channel, signer
    finally:
        await server.stop(None)
        await verifier.stop()


def bearing(token: str) -> dict[str, Any]:
    """Return what a call with a token is made with."""
    return {"timeout": TIMEOUT_S, "metadata": (("authorization", f"Bearer {token}"),)}


def listen(channel: grpc.aio.Channel, token: str) -> "grpc.aio.UnaryStreamCall[bytes, bytes]":
    """Begin a stream of the server's."""
    service, name = BALANCES
    method: grpc.aio.UnaryStreamMultiCallable[bytes, bytes] = channel.unary_stream(
        f"/{service}/{name}"
    )
    return method(b"", **bearing(token))


async def ending_of(call: Any) -> tuple[grpc.StatusCode, str]:  # noqa: ANN401  # of either shape
    """Return the code and the reason with which a stream ends."""
    with pytest.raises(grpc.aio.AioRpcError) as ended:
        await call.read()
    return ended.value.code(), reason_of(ended.value)


EXPIRED = grpc.StatusCode.UNAUTHENTICATED, "CREDENTIALS_EXPIRED"


async def test_a_stream_ends_when_its_token_is_over(tmp_path: Path) -> None:
    """What comes before that is answered; the first message behind it is not carried out."""
    clock = Clock()
    handler: grpc.RpcMethodHandler[bytes, bytes] = grpc.stream_stream_rpc_method_handler(echo)
    async with serving(tmp_path, TRANSFERS, handler, clock) as (channel, signer):
        call: grpc.aio.StreamStreamCall[bytes, bytes] = channel.stream_stream(
            "/{}/{}".format(*TRANSFERS)
        )(**bearing(signer.token(roles=["service"])))
        await call.write(b"one")
        assert await call.read() == b"one"
        clock.ahead_s = DAYS_S
        await call.write(b"two")
        assert await ending_of(call) == EXPIRED


async def test_a_silent_stream_ends_with_its_token(tmp_path: Path) -> None:
    """No message is needed to find out; what served it is left at once, so nothing is leaked."""
    talk = Talk()
    handler: grpc.RpcMethodHandler[bytes, bytes] = grpc.unary_stream_rpc_method_handler(talk.run)
    async with serving(tmp_path, BALANCES, handler, time.time) as (channel, signer):
        ends = int(time.time()) + 2
        call = listen(channel, signer.token(roles=["auditor"], exp=ends))
        assert await call.read() == b"begun"
        assert await ending_of(call) == EXPIRED
        assert ends <= time.time() < ends + 2
        async with asyncio.timeout(TIMEOUT_S):
            await talk.left.wait()


async def test_a_busy_stream_tells_nothing_behind_the_end_of_its_token(tmp_path: Path) -> None:
    """Each message is held to the credential, as if the call began with it."""
    clock, talk = Clock(), Talk()
    handler: grpc.RpcMethodHandler[bytes, bytes] = grpc.unary_stream_rpc_method_handler(talk.run)
    async with serving(tmp_path, BALANCES, handler, clock) as (channel, signer):
        call = listen(channel, signer.token(roles=["auditor"]))
        assert await call.read() == b"begun"
        talk.said.put_nowait(b"one")
        assert await call.read() == b"one"
        clock.ahead_s = DAYS_S
        talk.said.put_nowait(b"two")
        assert await ending_of(call) == EXPIRED


async def test_a_stream_between_services_goes_on(tmp_path: Path) -> None:
    """Their tokens are renewed while it runs; the shape of the stream does not matter."""
    clock, talk = Clock(), Talk()
    handler: grpc.RpcMethodHandler[bytes, bytes] = grpc.unary_stream_rpc_method_handler(talk.run)
    async with serving(tmp_path, BALANCES, handler, clock) as (channel, signer):
        call = listen(channel, signer.token(sub=OURS, exp=int(time.time()) + 2))
        assert await call.read() == b"begun"
        await asyncio.sleep(2.5)
        talk.said.put_nowait(b"one")
        assert await call.read() == b"one"
