"""Release holds whose time is over.

A hold that is over counts as such at once, for every command; what the sweep adds is that its
money comes free without anybody asking. Each release is a command of its own, which finds the hold
as it is then: any number of processes may sweep, and one of them releases.
"""

import asyncio
import math
import time
from collections.abc import Callable
from datetime import datetime
from functools import partial

import structlog

from wallet.domain.commands import Command, ExpireHold
from wallet.engine.queue import Answer
from wallet.store import queries
from wallet.store.shard import Shard
from walletkit.errors import ServiceError
from walletkit.ids import slot_of

SWEEP_S = 0.25
SWEEP_PAGE = 500
MAX_SWEEP_PAGES = 20
MAX_UNDER_WAY = 2000
"""Most holds of a shard that are being released at once: a mass expiry leaves callers room."""
RETRY_S = 5.0
"""How long a hold that could not be released is left alone."""
MAX_SET_ASIDE = 10_000

_BEGIN = (datetime(1970, 1, 1), b"")  # noqa: DTZ001  # as the shards write it: UTC, unsaid

Submit = Callable[[Command, float], asyncio.Future[Answer]]

log = structlog.get_logger()


class Expiry:
    """The holds of one shard that this process is releasing."""

    def __init__(self, shard: Shard, submit: Submit, up: Callable[[], bool]) -> None:
        """Take a shard, how to submit a command, and whether the shard is up."""
        self._shard = shard
        self._submit = submit
        self._up = up
        self._under_way: set[bytes] = set()
        self._set_aside: dict[bytes, float] = {}
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start the sweep."""
        self._task = asyncio.create_task(self._sweep_forever(), name=f"expiry-{self._shard.number}")

    async def stop(self) -> None:
        """Stop the sweep; what is under way ends with the shard's loop."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    @property
    def running(self) -> bool:
        """Whether the sweep lives."""
        return self._task is not None and not self._task.done()

    async def _sweep_forever(self) -> None:
        while True:
            if self._up():
                try:
                    await self._sweep()
                except Exception as error:  # noqa: BLE001  # the next round tries again
                    log.warning("expiry failed", shard=self._shard.number, error=repr(error))
            await asyncio.sleep(SWEEP_S)

    async def _sweep(self) -> None:
        """Release what is over, oldest first, up to as many as may be under way."""
        now = time.monotonic()
        self._set_aside = {hold: until for hold, until in self._set_aside.items() if until > now}
        after = _BEGIN
        for _ in range(MAX_SWEEP_PAGES):
            page = await queries.overdue_holds(self._shard, after, SWEEP_PAGE)
            for hold_id, wallet_id, _ in page:
                if len(self._under_way) >= MAX_UNDER_WAY:
                    return
                self._release(hold_id, wallet_id)
            if len(page) < SWEEP_PAGE:
                return
            hold_id, _, open_until = page[-1]
            after = (open_until, hold_id)

    def _release(self, hold_id: bytes, wallet_id: bytes) -> None:
        """Queue a release. Raise ``ServiceError`` where the shard takes nothing now."""
        if hold_id in self._under_way or hold_id in self._set_aside:
            return
        command = ExpireHold(slot_of(wallet_id), hold_id, wallet_id)
        releasing = self._submit(command, math.inf)
        self._under_way.add(hold_id)
        releasing.add_done_callback(partial(self._released, hold_id))

    def _released(self, hold_id: bytes, releasing: asyncio.Future[Answer]) -> None:
        self._under_way.discard(hold_id)
        if releasing.cancelled():
            return
        outcome = releasing.result().outcome
        if not isinstance(outcome, ServiceError):
            return
        log.warning(
            "hold not released",
            shard=self._shard.number,
            hold=hold_id.hex(),
            reason=outcome.reason,
        )
        if len(self._set_aside) < MAX_SET_ASIDE:
            self._set_aside[hold_id] = time.monotonic() + RETRY_S
