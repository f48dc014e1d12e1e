"""Measure how far a replica is behind its shard: by the last record that it shows, on any engine.

Nothing else is read from it, and nothing is written: money is decided on primaries alone.
"""

import asyncio
import random
from collections.abc import Sequence
from typing import NoReturn

import asyncmy
import structlog
from asyncmy.errors import MySQLError

from wallet.relay.lag import Behind
from wallet.relay.tail import Tail
from walletkit.sql.session import UnsafeServerError, open_session, parse_url, run_packet
from walletkit.telemetry.metrics import relay as metrics

PERIOD_S = 1.0
RETRY_S = 3.0
QUERY_TIMEOUT_S = 5.0

log = structlog.get_logger()


class NoReplicaError(RuntimeError):
    """The database is no replica of any shard of ours."""


_FAULTS = (OSError, TimeoutError, MySQLError, UnsafeServerError, NoReplicaError)


class Replica:
    """One replica, which says itself whose it is."""

    def __init__(self, url: str, tails: Sequence[Tail]) -> None:
        """Name it, and the shards' tails in the order of their numbers; nothing is opened yet."""
        address = parse_url(url)
        self._url = url
        self._tails = tails
        self._name = f"{address.host}:{address.port}"
        self._behind: dict[int, Behind] = {}
        self._up = metrics.REPLICA_UP.of(self._name)

    async def run(self) -> NoReturn:
        """Ask it once a second, for ever; after an error connect anew."""
        reported = ""
        while True:
            try:
                async with asyncio.timeout(QUERY_TIMEOUT_S):
                    # It may be less durable than its primary: nobody believes what it says alone.
                    session = await open_session(self._url, autocommit=True, durable=False)
                try:
                    while True:
                        await self._ask(session)
                        reported = ""
                        await asyncio.sleep(PERIOD_S)
                finally:
                    session.close()
            except _FAULTS as error:
                if repr(error) != reported:
                    reported = repr(error)
                    log.warning("replica can't be read", replica=self._name, error=reported)
            self._up.set(0)
            await asyncio.sleep(RETRY_S * random.uniform(0.5, 1))  # noqa: S311  # jitter

    async def _ask(self, session: asyncmy.Connection) -> None:
        async with asyncio.timeout(QUERY_TIMEOUT_S):
            (rows,) = await run_packet(session, "SELECT shard,seq FROM head WHERE id=1")
        if not rows or rows[0][0] >= len(self._tails):
            raise NoReplicaError(f"its head is {rows}")
        shard, seq = rows[0]
        self._of(shard).reach(seq)
        self._up.set(1)

    def _of(self, shard: int) -> Behind:
        """Return what is measured of it, from the moment on at which it was first seen."""
        if (known := self._behind.get(shard)) is not None:
            return known
        behind = self._behind[shard] = Behind()
        labels = str(shard), self._name
        metrics.REPLICA_LAG_RECORDS.of(*labels).follow(behind.records)
        metrics.REPLICA_LAG_SECONDS.of(*labels).follow(behind.seconds)
        self._tails[shard].tell(behind)
        return behind
