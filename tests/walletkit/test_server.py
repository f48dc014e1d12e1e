"""How methods are found, and how long a server that ends takes calls in."""

import asyncio
import gc
import os
import signal
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, NoReturn, cast

import grpc
import grpc.aio
import pytest

from guilder.wallet.v1 import wallet_service_pb2
from guilder.wallet.v1 import wallet_service_pb2_grpc as stubs
from walletkit.auth.settings import AuthSettings
from walletkit.errors import ServiceError
from walletkit.rpc import server
from walletkit.rpc.server import by_name, serve

SERVICE = wallet_service_pb2.DESCRIPTOR.services_by_name["WalletService"]
METHODS = [method.name for method in SERVICE.methods]
PATH = f"/{SERVICE.full_name}/GetWallet"


async def test_a_call_is_not_waited_for_at_each_method() -> None:
    """By its name one waits for all: otherwise every call pays for every method."""
    waiting = [await tasks_of(register) for register in (as_we_do, as_generated)]
    assert waiting[0] <= 2  # the loop, and the one that waits
    assert waiting[1] > len(METHODS) > 10


async def tasks_of(register: Callable[[grpc.aio.Server], None]) -> int:
    """Count what waits in a server that nobody calls."""
    before = len(asyncio.all_tasks())
    there = grpc.aio.server()
    register(there)
    there.add_insecure_port("127.0.0.1:0")
    await there.start()
    try:
        await asyncio.sleep(0)
        return len(asyncio.all_tasks()) - before
    finally:
        await there.stop(None)


def as_we_do(there: grpc.aio.Server) -> None:
    """Register as the services do."""
    as_generated(by_name(there))


def as_generated(there: grpc.aio.Server) -> None:
    """Register as the generated code does."""
    stubs.add_WalletServiceServicer_to_server(cast("Any", Nobodys)(), there)


class Nobodys(stubs.WalletServiceServicer):
    """Has no wallet at all."""

    async def GetWallet(self, _request: object, _context: object) -> NoReturn:  # noqa: N802
        """Find none."""
        raise ServiceError("WALLET_NOT_FOUND", "there is none")


@pytest.fixture
def collector() -> Iterator[None]:
    """As it was, after a server has calmed it."""
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)
    gc.unfreeze()


@pytest.mark.usefixtures("collector")
async def test_a_server_that_nobody_calls_ends_soon() -> None:
    """It takes calls in until Envoy has asked for its health, and no longer."""
    assert await seconds_to_end(no_calls) < server.LINGER_MOST_S


@pytest.mark.usefixtures("collector")
async def test_a_server_that_is_called_takes_calls_in_longer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Somebody still calls, so his Envoy has not asked yet; but only for so long."""
    monkeypatch.setattr(server, "QUIET_S", server.LINGER_MOST_S)  # a busy machine is no silence
    took_s = await seconds_to_end(calls)
    assert server.LINGER_MOST_S < took_s < server.CALLS_S


async def no_calls(_port: int) -> None:
    """Call nothing."""


async def calls(port: int) -> None:
    """Call again and again until a call is refused; none is while calls are taken in."""
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        call: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(PATH)
        code = grpc.StatusCode.NOT_FOUND
        while code is grpc.StatusCode.NOT_FOUND:
            with pytest.raises(grpc.aio.AioRpcError) as told:
                await call(b"", timeout=5)
            code = told.value.code()
            await asyncio.sleep(0.02)
    assert code is grpc.StatusCode.UNAVAILABLE


async def seconds_to_end(meanwhile: Callable[[int], Awaitable[None]]) -> float:
    """Have a server end by a signal while it is called; return how long it took."""
    listening: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(
        serve(
            listen="127.0.0.1:0",
            auth=AuthSettings(auth_mode="trusted"),
            register=as_generated,
            service_names=(),
            ready=lambda: True,
            drain=nothing,
            on_listening=listening.set_result,
        )
    )
    first: set[asyncio.Future[Any]] = {task, listening}
    await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
    port = listening.result()
    called = asyncio.ensure_future(meanwhile(port))
    began = asyncio.get_running_loop().time()
    os.kill(os.getpid(), signal.SIGTERM)
    await asyncio.gather(task, called)
    return asyncio.get_running_loop().time() - began


async def nothing() -> None:
    """Have no queue to drain."""
