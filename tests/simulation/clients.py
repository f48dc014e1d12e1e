"""Simulated clients: they ask, repeat themselves, lose patience, and retry with the same key."""

import asyncio
import random
import time
from collections.abc import Callable
from typing import Any

import grpc
import grpc.aio
from google.rpc import error_details_pb2, status_pb2

from tests.simulation.order import TRANSIENT, Order, Reply
from tests.simulation.orders import Orders

PATIENCE_S = 40.0
PAUSE_S = 0.03
DEADLINE_S = 10.0
DETAILS = "grpc-status-details-bin"

StubOf = Callable[[], Any]


class Clients:
    """Many clients over the processes of one simulation."""

    def __init__(self, chance: random.Random, orders: Orders, stub_of: StubOf) -> None:
        """Take from ``orders`` and send by ``stub_of()``, some process's stub of the moment."""
        self._chance = chance
        self._orders = orders
        self._stub_of = stub_of
        self.sent: dict[int, Order] = {}

    async def run(self, count: int, stop: asyncio.Event) -> None:
        """Run so many clients until the event; each ends with a final answer."""
        await asyncio.gather(*[self._client(stop) for _ in range(count)])

    async def settle(self, order: Order, *, patient: bool = False) -> Reply:
        """Send an order until its answer is final."""
        self.sent[id(order)] = order
        give_up = time.monotonic() + PATIENCE_S
        while time.monotonic() < give_up:
            reply = await self._attempt(order, patient=patient)
            order.hear(reply)
            if reply.reason not in TRANSIENT:
                self._orders.learn(order, reply)
                return reply
            await asyncio.sleep(PAUSE_S)
        message = f"{order.method} {order.key} got no final answer: {order.replies[-1]}"
        raise AssertionError(message)

    async def _client(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            order = self._orders.next()
            if order.spoils is not None and not order.spoils.final:
                continue
            twice = 1 + (self._chance.random() < 0.1)
            await asyncio.gather(*[self.settle(order) for _ in range(twice)])

    async def _attempt(self, order: Order, *, patient: bool) -> Reply:
        call = getattr(self._stub_of(), order.method)(order.request, timeout=DEADLINE_S)
        if not patient and self._chance.random() < 0.05:
            delay_s = self._chance.uniform(0, 0.02)
            asyncio.get_running_loop().call_later(delay_s, call.cancel)
        try:
            return Reply("", {}, await call)
        except grpc.aio.AioRpcError as error:
            return _refusal(error)
        except asyncio.CancelledError:
            if not call.cancelled():
                raise
            return Reply("CANCELLED", {}, None)


def _refusal(error: grpc.aio.AioRpcError) -> Reply:
    """Read the reason from the status; a call that never reached a handler has only its code."""
    details = dict(error.trailing_metadata() or ()).get(DETAILS)
    if isinstance(details, bytes):
        info = error_details_pb2.ErrorInfo()
        for detail in status_pb2.Status.FromString(details).details:
            if detail.Unpack(info):
                return Reply(info.reason, dict(info.metadata), None)
    return Reply(error.code().name, {"message": error.details() or ""}, None)
