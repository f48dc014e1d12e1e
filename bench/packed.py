"""Measure transfers that come many to a message: BatchTransfer and StreamTransfers.

ghz can't give each transfer of a message a key of its own, so this is a client of our own:
`python -m bench.packed` in a process of its own, which sends bytes that were made ahead and reads
the replies when the clock has stopped. It waits for a line of input before it starts the clock.
"""

import argparse
import asyncio
import gc
import json
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import grpc
import grpc.aio
import uvloop

from bench.child import Child, await_the_word, tell
from bench.load import Around, Load, alone
from bench.messages import Messages, batch_id, is_stream, read_reply
from bench.model import Run
from bench.scenarios import SCENARIOS, Scenario
from bench.usage import measured
from walletkit.stack import Stack

CALL_TIMEOUT_S = 20.0
CONNECT_TIMEOUT_S = 10.0
MESSAGES_AHEAD = 4
"""Messages that a stream sends before it waits for an answer: what streams are for."""
KEPT_BYTES = 512 * 2**20
"""Replies kept to be read afterwards; what comes beyond is read at once, at the client's cost."""
MAX_REPLY_BYTES = 16 * 2**20
FAILED_PAUSE_S = 0.05
MAX_UNDER_WAY = 1_000
"""Messages without an answer; beyond it an open loop sends late, and counts that as latency."""
AnyCall = Any
"""What sends and receives bytes: the stubs of grpc only know messages."""


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be sent."""

    scenario: Scenario
    concurrency: int
    """Callers, or streams."""
    seconds: float
    offered: float | None
    """Messages a second in an open loop; None: each waits for an answer."""


def client(address: str, shards: int, order: Order) -> Child:
    """Start the process that sends; it is to be told the wallets."""
    arguments = [address, order.scenario.name, f"--shards={shards}"]
    arguments += [f"--concurrency={order.concurrency}", f"--seconds={order.seconds}"]
    if order.offered is not None:
        arguments.append(f"--offered={order.offered}")
    return Child("bench.packed", arguments, order.seconds)


def measure(
    stack: Stack,
    scenario: Scenario,
    wallets: Sequence[str],
    concurrency: int,
    seconds: float,
    round_: int,
    *,
    offered: float | None = None,
    around: Around = alone,
) -> Run:
    """Measure one run. Its calls are messages, its movements the transfers that were made.

    `around` is what is done before and after the calls, within what is measured.
    Ends when the ledger has all of it. Raise `ClientError` or `LagError`.
    """
    order = Order(scenario, concurrency, seconds, offered)
    shards = len(stack.settings.shard_ports)
    with client(stack.address("wallet"), shards, order) as child:
        child.prepare(list(wallets))
        return measured(
            stack,
            scenario.name,
            concurrency,
            round_,
            lambda: around(child.send),
            commands=scenario.commands,
            offered=offered,
        )


class Tally:
    """What was answered so far."""

    def __init__(self, scenario: Scenario) -> None:
        """Begin with nothing."""
        self._scenario = scenario
        self._replies: list[bytes] = []
        self._kept_bytes = 0
        self.made = 0
        self.calls = 0
        self.latencies_ms: list[float] = []
        self.errors: Counter[str] = Counter()

    def answered(self, reply: bytes, started: float) -> None:
        """Note a reply, and keep it to be read later."""
        self.latencies_ms.append((time.perf_counter() - started) * 1e3)
        self.calls += 1
        self._replies.append(reply)
        self._kept_bytes += len(reply)
        if self._kept_bytes > KEPT_BYTES:
            self.read()

    def failed(self, code: grpc.StatusCode, messages: int = 1) -> None:
        """Note messages without an answer."""
        self.calls += messages
        self.errors[code.name] += messages

    def read(self) -> None:
        """Read the replies that are kept."""
        for reply in self._replies:
            made, failed = read_reply(self._scenario, reply)
            self.made += made
            self.errors.update(failed)
        self._replies.clear()
        self._kept_bytes = 0


async def send(address: str, order: Order, messages: Messages) -> Load:
    """Send for so long, and return what was seen."""
    tally = Tally(order.scenario)
    options = (("grpc.max_receive_message_length", MAX_REPLY_BYTES),)
    async with grpc.aio.insecure_channel(address, options=options) as channel:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            await channel.channel_ready()
        await_the_word()
        started, cpu_started = time.perf_counter(), time.process_time()
        sending = _on_streams if is_stream(order.scenario) else _by_calls
        await sending(channel, order, messages, tally)
        took, cpu = time.perf_counter() - started, time.process_time() - cpu_started
    ended_at = time.time()
    tally.read()
    return Load(
        seconds=took,
        calls=tally.calls,
        movements=tally.made,
        latencies_ms=tally.latencies_ms,
        errors=dict(tally.errors),
        cpu_seconds=cpu,
        ended_at=ended_at,
    )


async def _by_calls(
    channel: grpc.aio.Channel, order: Order, messages: Messages, tally: Tally
) -> None:
    # Without serializers what is sent and received is bytes.
    method: AnyCall = channel.unary_unary(f"/{order.scenario.method}")
    end = time.perf_counter() + order.seconds
    room = asyncio.Semaphore(MAX_UNDER_WAY)

    async def call(started: float) -> None:
        try:
            reply = await method(messages.take()[1], timeout=CALL_TIMEOUT_S)
        except grpc.aio.AioRpcError as error:
            tally.failed(error.code())
            await asyncio.sleep(FAILED_PAUSE_S)
        else:
            tally.answered(reply, started)
        finally:
            room.release()

    async def caller() -> None:
        while (now := time.perf_counter()) < end:
            await room.acquire()
            await call(now)

    async with asyncio.TaskGroup() as group:
        if order.offered is None:
            for _ in range(order.concurrency):
                group.create_task(caller())
        else:
            async for due in _schedule(order.offered, order.seconds):
                await room.acquire()
                group.create_task(call(due))


async def _on_streams(
    channel: grpc.aio.Channel, order: Order, messages: Messages, tally: Tally
) -> None:
    async with asyncio.TaskGroup() as group:
        for index in range(order.concurrency):
            group.create_task(_on_stream(channel, order, messages, tally, index))


async def _on_stream(
    channel: grpc.aio.Channel, order: Order, messages: Messages, tally: Tally, index: int
) -> None:
    """Keep some messages of one stream under way, or send by the clock; an error ends it."""
    end = time.perf_counter() + order.seconds
    method: AnyCall = channel.stream_stream(f"/{order.scenario.method}")
    stream = method(timeout=order.seconds + CALL_TIMEOUT_S)
    under_way: dict[int, float] = {}
    room = asyncio.Semaphore(MESSAGES_AHEAD if order.offered is None else MAX_UNDER_WAY)

    async def write() -> None:
        if order.offered is None:
            moments = _always(end)
        else:
            moments = _schedule(order.offered, order.seconds, index, order.concurrency)
        # A stream that has failed raises from `write` as well; `read` tells what it was.
        with suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
            async for moment in moments:
                await room.acquire()
                number, message = messages.take()
                under_way[number] = time.perf_counter() if order.offered is None else moment
                await stream.write(message)
            await stream.done_writing()

    writing = asyncio.create_task(write())
    try:
        while (reply := await stream.read()) is not grpc.aio.EOF:
            tally.answered(reply, under_way.pop(batch_id(reply)))
            room.release()
    except grpc.aio.AioRpcError as error:
        tally.failed(error.code(), max(1, len(under_way)))
    else:
        if under_way:
            tally.failed(grpc.StatusCode.UNKNOWN, len(under_way))
    finally:
        writing.cancel()  # it has ended, or has nobody left to write to
    await asyncio.wait([writing])


async def _schedule(
    rate: float, seconds: float, first: int = 0, step: int = 1
) -> AsyncIterator[float]:
    """Yield every `step`th of so many moments a second, when it has come: latency counts from it.

    So a message that could not be sent in time counts as late, not as sent later.
    """
    started = time.perf_counter()
    for number in range(first, int(rate * seconds), step):
        due = started + number / rate
        if (ahead := due - time.perf_counter()) > 0:
            await asyncio.sleep(ahead)
        yield due


async def _always(end: float) -> AsyncIterator[float]:
    """Yield again and again until the end has come."""
    while (now := time.perf_counter()) < end:
        yield now


def main() -> int:
    """Read wallets and a starting signal from standard input, measure, and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("address", help="host:port of the wallet service")
    parser.add_argument(
        "scenario", choices=[s.name for s in SCENARIOS.values() if s.client == "packed"]
    )
    parser.add_argument("--shards", type=int, default=2)
    parser.add_argument("--concurrency", type=int, default=4, help="callers, or streams")
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--offered", type=float, help="messages a second, in an open loop")
    options = parser.parse_args()
    wallets: list[str] = json.loads(sys.stdin.readline())
    scenario = SCENARIOS[options.scenario]
    messages = Messages(scenario, wallets, options.shards)
    gc.freeze()
    gc.disable()  # for some seconds: what was made ahead is large, and nothing here leaves cycles
    order = Order(scenario, options.concurrency, options.seconds, options.offered)
    load = uvloop.run(send(options.address, order, messages))
    tell(load)
    return 0


if __name__ == "__main__":
    sys.exit(main())
