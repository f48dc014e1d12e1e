"""Wallet processes of a simulation: real ones but for the process, so that faults can be put in."""

import asyncio
from collections.abc import Sequence

import grpc.aio

from guilder.wallet.v1 import wallet_service_pb2_grpc as stubs
from tests.engine.faulty_shard import FaultyShard
from tests.engine.world import abandon
from wallet.api.history import History
from wallet.api.wallet_servicer import WalletServicer
from wallet.engine.router import Router
from walletkit.rpc.interceptor import StatusInterceptor
from walletkit.rpc.server import OPTIONS, by_name
from walletkit.stack.settings import free_ports

CALLS_END_S = 0.02
"""How long cancelled calls may take to end; a killed process takes its connections along."""
RECONNECT = (("grpc.initial_reconnect_backoff_ms", 50), ("grpc.max_reconnect_backoff_ms", 100))


class WalletProcess:
    """A router behind a gRPC server; it can be killed and started again on the same port."""

    def __init__(self, urls: Sequence[str]) -> None:
        """Describe a process and its clients' channel; nothing runs yet."""
        self._urls = urls
        self._address = f"127.0.0.1:{free_ports(1)[0]}"
        self._channel = grpc.aio.insecure_channel(self._address, options=RECONNECT)
        self.stub = stubs.WalletServiceStub(self._channel)

    async def start(self) -> None:
        """Start; not to be called while it runs."""
        self.shards = [FaultyShard(n, url) for n, url in enumerate(self._urls)]
        self.router = Router(self.shards, window_s=0.002, queue_limit=50, leg_wait_s=0.5)
        await self.router.start()
        # Nobody listens there: lists are no part of the simulation.
        self._ledger = grpc.aio.insecure_channel("127.0.0.1:1")
        self._server = grpc.aio.server(interceptors=(StatusInterceptor(),), options=OPTIONS)
        servicer = WalletServicer(self.router, History(self._ledger))
        stubs.add_WalletServiceServicer_to_server(servicer, by_name(self._server))
        self._server.add_insecure_port(self._address)
        await self._server.start()

    async def kill(self) -> None:
        """End as by kill -9: whatever was begun stays as it is."""
        abandon(self.router)
        await self._server.stop(None)
        await asyncio.sleep(CALLS_END_S)
        for shard in self.shards:
            # What a call was just reading by came back behind the first close.
            shard.close()
        await self._ledger.close()

    async def stop(self) -> None:
        """End as by SIGTERM."""
        await self._server.stop(1)
        await self.router.drain()
        await self._channel.close()
        await self._ledger.close()
