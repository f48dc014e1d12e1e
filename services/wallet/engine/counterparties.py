"""Look at wallets on other shards, shortly before money is sent to them.

What is found decides only whether a transfer begins: unknown, closed, frozen, other currency, shard
down. Once begun its leg can't be refused, so nothing here needs to be exact to the instant; a
status is believed for ``STATUS_TTL_S``.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable

import structlog

from wallet.domain.batch import Counterparty, NoCounterparty
from walletkit.ids import slot_of

STATUS_TTL_S = 0.2
LOOK_UP_S = 0.5
"""Longest wait for another shard.

The batch that asks, and all that queues behind it, waits along.
"""
DISTRUST_S = 2.0
"""How long a shard that could not be read counts as down, without being asked again."""
MAX_CACHED = 200_000

log = structlog.get_logger()

Found = dict[bytes, Counterparty | NoCounterparty]
Reader = Callable[[list[bytes]], Awaitable[dict[bytes, Counterparty]]]


class Counterparties:
    """A short-lived cache over the other shards' wallets."""

    def __init__(self, reader_of: Callable[[bytes], Reader | None]) -> None:
        """Take ``reader_of(wallet_id)``: how to read its shard, or None while that is down."""
        self._reader_of = reader_of
        self._cache: dict[bytes, tuple[Counterparty, float]] = {}
        self._distrusted: dict[Reader, float] = {}

    async def look_up(self, wallet_ids: set[bytes]) -> Found:
        """Return what is known of each wallet."""
        found: Found = {}
        missing: dict[Reader, list[bytes]] = {}
        now = time.monotonic()
        for wallet_id in wallet_ids:
            reader = self._reader_of(wallet_id)
            if reader is None or self._distrusted.get(reader, 0.0) > now:
                found[wallet_id] = NoCounterparty.UNREACHABLE
                continue
            cached = self._cache.get(wallet_id)
            if cached is not None and cached[1] > now:
                found[wallet_id] = cached[0]
            else:
                missing.setdefault(reader, []).append(wallet_id)
        if missing:
            await asyncio.gather(
                *[self._read(reader, ids, found) for reader, ids in missing.items()]
            )
        return found

    async def renew(self, found: Found) -> Found:
        """Look again at what is no longer believed: waiting for locks may have taken long."""
        now = time.monotonic()
        doubted = {
            wallet_id
            for wallet_id, known in found.items()
            if isinstance(known, Counterparty) and not self._believed(wallet_id, now)
        }
        return {**found, **await self.look_up(doubted)} if doubted else found

    def forget(self, wallet_id: bytes) -> None:
        """Read a wallet anew next time."""
        self._cache.pop(wallet_id, None)

    def forget_slot(self, slot: int) -> None:
        """Read all wallets of a slot anew next time."""
        for wallet_id in [w for w in self._cache if slot_of(w) == slot]:
            del self._cache[wallet_id]

    def _believed(self, wallet_id: bytes, now: float) -> bool:
        cached = self._cache.get(wallet_id)
        return cached is not None and cached[1] > now

    async def _read(self, reader: Reader, wallet_ids: list[bytes], found: Found) -> None:
        # The age counts from before the read: a change right behind it is seen in time.
        until = time.monotonic() + STATUS_TTL_S
        try:
            async with asyncio.timeout(LOOK_UP_S):
                there = await reader(wallet_ids)
        except Exception as error:  # noqa: BLE001  # a shard that can't be read can't be sent to
            log.warning("counterparties unreachable", error=repr(error))
            self._distrusted[reader] = time.monotonic() + DISTRUST_S
            found.update(dict.fromkeys(wallet_ids, NoCounterparty.UNREACHABLE))
            return
        if len(self._cache) > MAX_CACHED:
            self._cache.clear()
        for wallet_id in wallet_ids:
            counterparty = there.get(wallet_id)
            if counterparty is None:
                found[wallet_id] = NoCounterparty.UNKNOWN
            else:
                found[wallet_id] = counterparty
                self._cache[wallet_id] = (counterparty, until)
