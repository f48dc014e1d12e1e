"""What a call counts as, on a real server: cut off by deadline or caller; and whose call it is."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from time import perf_counter
from typing import Any

import grpc
import grpc.aio
import pytest

from walletkit.rpc import interceptor
from walletkit.rpc.interceptor import StatusInterceptor
from walletkit.telemetry.exposition import Families
from walletkit.telemetry.metrics.calls import CALLS

SERVICE, METHOD = "guilder.wallet.v1.WalletService", "Transfer"
WAIT_S = 10


class Silent:
    """A call that never answers."""

    def __init__(self) -> None:
        """Wait for the first."""
        self.begun = asyncio.Event()

    async def answer(self, _request: bytes, _context: object) -> bytes:
        """Begin, and wait."""
        self.begun.set()
        await asyncio.Event().wait()
        return b""


@asynccontextmanager
async def serving(
    answer: Callable[[bytes, object], Awaitable[bytes]],
    service: str = SERVICE,
    method: str = METHOD,
) -> AsyncIterator[grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]]:
    """Serve a method behind the interceptor that counts."""
    server = grpc.aio.server(interceptors=[StatusInterceptor()])
    make: Any = grpc.unary_unary_rpc_method_handler
    methods = grpc.method_handlers_generic_handler(service, {method: make(answer)})
    server.add_generic_rpc_handlers((methods,))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield channel.unary_unary(f"/{service}/{method}")
    finally:
        await server.stop(None)


def counted(code: str) -> float:
    """Return how many of its calls have ended with a code."""
    return CALLS["wallet"].requests.of(f"WalletService/{METHOD}", code).value


async def until(code: str, expected: float) -> None:
    """Wait for the count: the server notices a little after the caller."""
    async with asyncio.timeout(WAIT_S):
        while counted(code) != expected:  # noqa: ASYNC110  # nothing tells
            await asyncio.sleep(0.01)


async def test_a_deadline_is_a_failure() -> None:
    """What hangs until its caller's deadline is an error of ours, with its reason."""
    before, gone = counted("DEADLINE_EXCEEDED"), counted("CANCELLED")
    async with serving(Silent().answer) as call:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await call(b"", timeout=0.3)
        assert refused.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        await until("DEADLINE_EXCEEDED", before + 1)
    assert counted("CANCELLED") == gone


async def test_a_caller_that_leaves_is_none() -> None:
    """It goes long before its deadline: nobody failed."""
    silent = Silent()
    before, late = counted("CANCELLED"), counted("DEADLINE_EXCEEDED")
    async with serving(silent.answer) as call:
        running = call(b"", timeout=WAIT_S)
        asking = asyncio.ensure_future(running)
        await asyncio.wait_for(silent.begun.wait(), WAIT_S)
        running.cancel()
        await asyncio.wait([asking])
        await until("CANCELLED", before + 1)
    assert counted("DEADLINE_EXCEEDED") == late


def series() -> int:
    """Count the lines that a scrape of this process has."""
    return sum(len(metric.samples) for metric in Families().collect())


async def test_a_thousand_slow_calls_are_the_series_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each with a latency and a request id of its own; neither is a label, nor kept (T40)."""
    told: list[int] = []
    late_s = (0.5 + number / 100 for number in range(1_000))
    monkeypatch.setattr(interceptor, "perf_counter", lambda: perf_counter() - next(late_s))
    before = CALLS["wallet"].seconds.of(f"WalletService/{METHOD}").total
    async with serving(echo) as call:
        for number in range(1_000):
            ids = (
                ("x-request-id", f"slow-{number}"),
                ("traceparent", f"00-{number:032x}-{1:016x}-01"),
            )
            await call(b"", timeout=WAIT_S, metadata=ids)
            told.append(series())
    assert CALLS["wallet"].seconds.of(f"WalletService/{METHOD}").total - before >= 5_000
    assert set(told) == {told[0]}
    assert told[0] > 0


async def echo(request: bytes, _context: object) -> bytes:
    """Answer."""
    return request


async def test_what_envoy_asks_is_edges() -> None:
    """Envoy's contracts have no name of ours; edge is who answers them."""
    service, method = "envoy.service.auth.v3.Authorization", "Check"
    count = CALLS["edge"].requests.of(f"Authorization/{method}", "OK")
    before = count.value
    async with serving(echo, service, method) as call:
        assert await call(b"", timeout=WAIT_S) == b""
    assert count.value == before + 1


async def test_reflection_is_no_call_of_a_service() -> None:
    """What grpcurl asks first counts for nobody."""
    before = {name: calls.requests.series() for name, calls in CALLS.items()}
    async with serving(
        echo, "grpc.reflection.v1alpha.ServerReflection", "ServerReflectionInfo"
    ) as call:
        assert await call(b"", timeout=WAIT_S) == b""
    assert {name: calls.requests.series() for name, calls in CALLS.items()} == before
