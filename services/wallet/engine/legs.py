"""Bring credits to their shards, and close their intents once they are durable there.

Every step is a command of its own, applied once by its id, so any process can do it, any number of
times, from the rows alone: what a process leaves behind when it dies, the sweep of any other finds.
"""

import asyncio
import math
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import structlog

from wallet.domain.batch import Batch
from wallet.domain.commands import CloseIntent, Command, Intent, LandLeg
from wallet.domain.kinds import RETURN_LEG, LegResult, TransactionState
from wallet.domain.outcome import Landed
from wallet.engine.queue import Answer
from wallet.engine.traces import spans_of
from wallet.store import queries
from wallet.store.shard import Shard
from walletkit.errors import ServiceError
from walletkit.ids import slot_of, time_ms_of
from walletkit.telemetry.metrics import wallet as metrics
from walletkit.trace import Span, below

SWEEP_S = 1.0
STALE_MS = 1000
"""Intents older than this are taken up by the sweep; younger ones have their own process."""
SWEEP_PAGE = 1000
MAX_SWEEP_PAGES = 100

Submit = Callable[[Command, float], asyncio.Future[Answer]]
Place = tuple[bytes, int]
_BEGIN: Place = (b"", 0)

log = structlog.get_logger()


class Legs:
    """The legs that this process is bringing."""

    def __init__(self, submit: Submit, shards: Callable[[], list[Shard]]) -> None:
        """Take how to submit a command, and which shards are up."""
        self._submit = submit
        self._shards = shards
        self._under_way: dict[Place, asyncio.Future[TransactionState | None]] = {}
        self._cursors: dict[int, Place] = {}
        self._task: asyncio.Task[None] | None = None
        self._oldest_ms: dict[int, int] = {}
        """Of each shard with intents: when the oldest of them was made."""
        metrics.LEGS_UNDER_WAY.of().follow(lambda: len(self._under_way))

    def start(self) -> None:
        """Start the sweep."""
        self._task = asyncio.create_task(self._sweep_forever(), name="legs")

    async def stop(self) -> None:
        """Stop the sweep; what is under way ends with the loops."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    @property
    def running(self) -> bool:
        """Whether the sweep lives."""
        return self._task is not None and not self._task.done()

    @property
    def under_way(self) -> int:
        """How many legs this process is bringing right now."""
        return len(self._under_way)

    def on_commit(self, batch: Batch) -> None:
        """Send off what a committed batch has opened."""
        spans = spans_of(batch)
        for new in batch.changes.transactions:
            for intent in new.intents:
                self._send_below(spans, intent)
        for leg in batch.changes.legs:
            if leg.returned is not None:
                self._send_below(spans, leg.returned)

    async def wait(
        self, tx_id: bytes, legs: Sequence[int], timeout_s: float
    ) -> TransactionState | None:
        """Return the state that the legs bring a transaction to; None if it takes longer."""
        under_way = [self._under_way.get((tx_id, leg)) for leg in legs]
        known = [future for future in under_way if future is not None]
        if not known or len(known) < len(under_way):
            return None
        await _wait(known, timeout_s)
        states = {future.result() if future.done() else None for future in known}
        if states == {TransactionState.COMPLETED}:
            return TransactionState.COMPLETED
        return None if None in states else TransactionState.PROCESSING

    def _send_below(self, spans: Mapping[bytes, Span], intent: Intent) -> None:
        """Send a leg off, on behalf of whoever follows its transaction."""
        if not spans:
            self._send(intent)
            return
        with below(spans.get(intent.tx_id)):
            self._send(intent)

    def _send(self, intent: Intent) -> bool:
        """Send a leg off; False when its shard takes nothing now: the sweep comes back to it."""
        place = (intent.tx_id, intent.leg)
        if place in self._under_way:
            return True
        try:
            landing = self._submit(LandLeg(_slot_of_landing(intent), intent), math.inf)
        except ServiceError:
            return False
        self._under_way[place] = asyncio.get_running_loop().create_future()
        landing.add_done_callback(partial(self._landed, intent))
        return True

    def _landed(self, intent: Intent, landing: asyncio.Future[Answer]) -> None:
        """Tell who waits, and close the intent: in a later batch than the landing's."""
        place = (intent.tx_id, intent.leg)
        outcome = landing.result().outcome if not landing.cancelled() else None
        if not isinstance(outcome, Landed):
            self._finish(place, None)
            return
        if outcome.result == LegResult.RETURNED:
            # The home closes this intent when the return lands there.
            self._finish(place, TransactionState.PROCESSING)
            return
        state = None if intent.leg >= RETURN_LEG else TransactionState.COMPLETED
        self._tell(place, state)
        close = CloseIntent(_slot_of_opening(intent), intent.tx_id, intent.leg, state, intent.legs)
        try:
            closing = self._submit(close, math.inf)
        except ServiceError:
            self._finish(place, state)
            return
        closing.add_done_callback(lambda _: self._finish(place, state))

    def _tell(self, place: Place, state: TransactionState | None) -> None:
        waiting = self._under_way.get(place)
        if waiting is not None and not waiting.done():
            waiting.set_result(state)

    def _finish(self, place: Place, state: TransactionState | None) -> None:
        self._tell(place, state)
        self._under_way.pop(place, None)

    async def _sweep_forever(self) -> None:
        while True:
            for shard in self._shards():
                try:
                    await self._sweep(shard)
                except Exception as error:  # noqa: BLE001  # the next round tries again
                    log.warning("sweep failed", shard=shard.number, error=repr(error))
            await asyncio.sleep(SWEEP_S)

    async def _sweep(self, shard: Shard) -> None:
        """Send what a shard's rows still hold; start where the last round stopped.

        While a shard is down its legs are refused: then a round ends with its page, so that the
        many that wait for it cost no more than a page a round.
        """
        stale_before_ms = time.time_ns() // 1_000_000 - STALE_MS
        after = self._cursors.pop(shard.number, _BEGIN)
        for _ in range(MAX_SWEEP_PAGES):
            page = await queries.open_intents(shard, after, SWEEP_PAGE)
            if after == _BEGIN:
                self._note_oldest(shard.number, page)
            stale = [intent for intent in page if time_ms_of(intent.tx_id) < stale_before_ms]
            sent = [self._send(intent) for intent in stale]
            if len(page) < SWEEP_PAGE:
                return
            after = (page[-1].tx_id, page[-1].leg)
            if not all(sent):
                break
        self._cursors[shard.number] = after

    def _note_oldest(self, shard: int, page: Sequence[Intent]) -> None:
        """Note how old a shard's oldest intent is: ids begin with their time."""
        self._oldest_ms[shard] = time_ms_of(page[0].tx_id) if page else 0
        metrics.TRANSIT_AGE.of(str(shard)).follow(partial(self._age_s, shard))

    def _age_s(self, shard: int) -> float:
        oldest_ms = self._oldest_ms[shard]
        return max(0.0, time.time() - oldest_ms / 1_000) if oldest_ms else 0.0


async def _wait(legs: Sequence[asyncio.Future[TransactionState | None]], timeout_s: float) -> None:
    """Wait until all have an end, or time is over; they go on if whoever waits is cancelled.

    It is ``asyncio.wait`` without its sets and checks, which were a twentieth of the loop's time.
    """
    loop = asyncio.get_running_loop()
    give_up = loop.time() + timeout_s
    for leg in legs:
        if leg.done():
            continue
        woken = loop.create_future()
        wake = partial(_wake, woken)
        timer = loop.call_at(give_up, wake)
        leg.add_done_callback(wake)
        try:
            await woken
        finally:
            timer.cancel()
            leg.remove_done_callback(wake)


def _wake(woken: asyncio.Future[None], *_: object) -> None:
    if not woken.done():
        woken.set_result(None)


def _slot_of_landing(intent: Intent) -> int:
    """Return where it lands: a return at home.

    The transaction's id tells, for what comes home may be a system wallet's, which has no slot.
    """
    return slot_of(intent.tx_id if intent.leg >= RETURN_LEG else intent.destination)


def _slot_of_opening(intent: Intent) -> int:
    """Return where it was opened: a return by the wallet that could not be credited."""
    return slot_of(intent.source if intent.leg >= RETURN_LEG else intent.tx_id)
