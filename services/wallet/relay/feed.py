"""Bring one shard's records to one sink: verify where it stands, catch up, follow; for ever."""

import asyncio
import random
from typing import NoReturn

import grpc
import grpc.aio
import structlog

from guilder.events.v1.record_pb2 import SequencedRecord
from wallet.relay.lag import Lag
from wallet.relay.outbox import ChainError, Outbox, Position, PurgedError, Standing
from wallet.relay.sinks import Sink, Stream, reason_of
from wallet.relay.tail import FIRST_RETRY_S, LAST_RETRY_S, BehindTailError, Tail, TailLostError

REFUSED_RETRY_S = 10
RECHECK_PAUSE_S = 0.5

_PASSING = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.INTERNAL,
    }
)
"""What may be gone at the next try. Any other status is a refusal, and somebody has to look."""
_ASKED_ANEW = "RECORD_GAP"
"""A sink that lost its last moments says so and is further back: the next opening tells where."""


class HistoryError(Exception):
    """The sink has what the shard has not: nothing is sent until one of them was put right."""


class Feed:
    """One shard's stream to one sink, over every reconnection."""

    def __init__(self, sink: Sink, tail: Tail, outbox: Outbox, lag: Lag) -> None:
        """Read from ``tail`` what is in memory, the rest from ``outbox``, a session of its own."""
        self._sink = sink
        self._tail = tail
        self._outbox = outbox
        self._lag = lag
        self._delay = FIRST_RETRY_S
        self._reported = ""
        self._log = structlog.get_logger().bind(shard=outbox.shard, sink=sink.name)

    async def run(self) -> None:
        """Feed the sink for ever, also after an operator put right what stopped it."""
        while True:
            pause = 0.0
            stream = Stream(self._sink, self._outbox.shard, self._lag.acknowledge)
            try:
                await self._feed(stream)
            except HistoryError:
                self._lag.fail("history")
                pause = REFUSED_RETRY_S
            except TailLostError:
                self._log.info("what follows is not to be had: verifying anew")
            except Exception as error:  # noqa: BLE001  # one feed's trouble must not end the others
                pause = self._pause_after(error)
            finally:
                self._lag.close()
                stream.close()
                self._outbox.close()
            await asyncio.sleep(pause)

    async def _feed(self, stream: Stream) -> None:
        generation = await self._tail.connected()
        position = await stream.open()
        head = await self._verify(position)
        self._lag.open(position.seq)
        self._log.info(
            "sink connected", seq=position.seq, head=head.seq, behind=head.seq - position.seq
        )
        self._reported = ""
        tasks = [
            asyncio.create_task(work)
            for work in (
                stream.receive(),
                stream.watch(),
                self._send(stream, position, generation),
            )
        ]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            # In the order above: what the sink said explains why sending failed.
            next(task for task in tasks if task in done).result()
        finally:
            if stream.acknowledged.seq > position.seq:
                self._delay = FIRST_RETRY_S
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _send(self, stream: Stream, position: Position, generation: int) -> None:
        while True:
            room = await stream.room()
            records = await self._next(position, generation, room)
            if records[0].prev_hash != position.hash:
                message = f"{records[0].seq} does not continue {position.seq}"
                raise ChainError(message)
            await stream.send(records)
            position = Position(records[-1].seq, records[-1].hash)

    async def _next(self, position: Position, generation: int, room: int) -> list[SequencedRecord]:
        try:
            records = await self._tail.following(position, generation, room)
        except BehindTailError:
            return await self._read(position, room)
        # Caught up: a session that nobody uses would only time out.
        self._outbox.close()
        return records

    async def _read(self, position: Position, room: int) -> list[SequencedRecord]:
        """Read what is no longer in memory.

        What is purged the sink has, from another relay: where it stands is for it to say. A gap
        that is one shows in the comparison.
        """
        try:
            records = await self._outbox.read(position, room)
        except PurgedError:
            raise TailLostError from None
        if not records:
            raise TailLostError
        return records

    async def _verify(self, sink: Position) -> Position:
        """Compare the sink's position with the shard, and return the shard's head.

        Raise ``PurgedError``, or ``HistoryError`` after fencing the shard where this sink may.
        Before that the shard is looked at twice, the second time over a new session, so that there
        is no false alarm.
        """
        standing, head = await self._outbox.compare(sink)
        if standing in {Standing.AHEAD, Standing.DIFFERENT}:
            await asyncio.sleep(RECHECK_PAUSE_S)
            self._outbox.close()
            standing, head = await self._outbox.compare(sink)
        if standing is Standing.PURGED:
            oldest = await self._outbox.oldest()
            raise PurgedError(f"the sink has {sink.seq}, the oldest record kept is {oldest}")
        if standing is not Standing.IN_ORDER:
            await self._diverge(standing, sink, head)
        return head

    async def _diverge(self, standing: Standing, sink: Position, head: Position) -> NoReturn:
        """Fence where the sink may, log it once until it changes, and raise ``HistoryError``."""
        fenced_now = self._sink.may_fence and await self._fence(standing)
        # Without the head: a shard that is not fenced moves on, and that is no news.
        found = repr((standing, sink))
        if fenced_now or found != self._reported:
            self._reported = found
            self._log.critical(
                "shard fenced: a sink has another history"
                if self._sink.may_fence
                else "sink has another history: it gets nothing, the shard goes on",
                standing=standing.value,
                fenced_now=fenced_now,
                sink_seq=sink.seq,
                sink_hash=sink.hash.hex(),
                head_seq=head.seq,
                head_hash=head.hash.hex(),
            )
        raise HistoryError

    async def _fence(self, standing: Standing) -> bool:
        try:
            return await self._outbox.fence()
        except Exception as error:
            # The feed starts over, and comes back here.
            self._log.critical("fencing failed", standing=standing.value, error=repr(error))
            raise

    def _pause_after(self, error: Exception) -> float:
        """Log a failure, once until it changes, and return for how long to wait."""
        passing = not isinstance(error, PurgedError)
        if isinstance(error, grpc.aio.AioRpcError):
            reason = reason_of(error)
            passing = error.code() in _PASSING or reason == _ASKED_ANEW
            said = {"code": error.code().name, "reason": reason, "error": error.details()}
        else:
            said = {"error": repr(error)}
        if repr(said) != self._reported or not passing:
            self._reported = repr(said)
            self._report(error, said, passing=passing)
        if not passing:
            self._lag.fail("purged" if isinstance(error, PurgedError) else "refused")
            return REFUSED_RETRY_S
        self._lag.fail("passing")
        pause = self._delay * random.uniform(0.5, 1)  # noqa: S311  # jitter
        self._delay = min(self._delay * 2, LAST_RETRY_S)
        return pause

    def _report(self, error: Exception, said: dict[str, str | None], *, passing: bool) -> None:
        if isinstance(error, PurgedError):
            self._log.error("gap: records that the sink needs are purged", **said)
        elif not passing:
            self._log.critical("sink refuses the records", **said)
        elif isinstance(error, ChainError):
            self._log.critical("outbox does not continue what the sink has", **said)
        else:
            self._log.warning("feed interrupted", **said)
