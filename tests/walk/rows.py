"""Look at the shards' rows after each step: I1, I2, I3, I8 and I9, and the walk's own wallets."""

import asyncio
import hashlib
import time
from collections.abc import Iterable, Sequence
from typing import Any

from tests.walk.model import Model
from walletkit.ids import parse_id
from walletkit.sql.literals import id_list
from walletkit.sql.session import Rows, open_session, run_packet

SETTLE_S = 30.0
READ_S = 10.0
STATUSES = {1: "ACTIVE", 2: "FROZEN", 3: "CLOSED", 4: "DEBITS_FROZEN"}
HOLD_STATES = {1: "AUTHORIZED", 2: "CAPTURED", 3: "VOIDED", 4: "EXPIRED"}

# One statement: it sees one moment.
_SUMS = """SELECT currency,SUM(posted) FROM (
    SELECT currency,CAST(posted AS DECIMAL(38,0)) posted FROM balances
    UNION ALL SELECT currency,posted FROM system_wallets) everything
    GROUP BY currency HAVING SUM(posted)<>0"""
_NEGATIVE = "SELECT COUNT(*) FROM balances WHERE posted-held+overdraft_limit<0"
_HELD = """SELECT COUNT(*) FROM balances b LEFT JOIN (
    SELECT wallet_id,SUM(authorized-captured-released) open FROM holds
    WHERE state=1 GROUP BY wallet_id) h USING(wallet_id) WHERE b.held<>COALESCE(h.open,0)"""
_ENDED = """SELECT COUNT(*) FROM holds WHERE captured+released>authorized
    OR (state<>1)<>(captured+released=authorized)"""


class Shards:
    """Sessions of the test's own to every shard, each opened anew when its server was killed."""

    def __init__(self, urls: Sequence[str]) -> None:
        self._urls = urls
        self._loop = asyncio.new_event_loop()
        self._sessions: dict[str, Any] = {}
        self._heads: dict[str, tuple[int, bytes]] = {}

    def close(self) -> None:
        """Hang up."""
        for session in self._sessions.values():
            session.close()
        # A transport is closed by the loop's next turn.
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()

    def faults(self, model: Model) -> list[str]:
        """Return a sentence for each thing that does not hold right now."""
        self.settle()
        found: list[str] = []
        for number, url in enumerate(self._urls):
            sums, negative, held, ended = self._read(url, _SUMS, _NEGATIVE, _HELD, _ENDED)
            found += [f"I1: shard {number}: {currency} sums to {n}" for currency, n in sums]
            if negative[0][0]:
                found.append(f"I3: shard {number}: {negative[0][0]} available are negative")
            if held[0][0] or ended[0][0]:
                found.append(f"I8: shard {number}: held of {held} wallets, {ended} holds are wrong")
            found += self._chain(number, url)
        found += self._wallets(model)
        return found

    def settle(self) -> None:
        """I2, I10: wait until nothing is on its way; then `transit` must be empty."""
        give_up = time.monotonic() + SETTLE_S
        sums: dict[str, int] = {}
        intents = 0
        while time.monotonic() < give_up:
            intents = 0
            sums.clear()
            for url in self._urls:
                count, transit = self._read(
                    url,
                    "SELECT COUNT(*) FROM intents",
                    "SELECT currency,posted FROM system_wallets WHERE kind=4",
                )
                intents += count[0][0]
                for currency, posted in transit:
                    sums[currency] = sums.get(currency, 0) + int(posted)
            if not intents and not any(sums.values()):
                return
            time.sleep(0.01)
        raise AssertionError(f"I2: {intents} intents are open, transit holds {sums}")

    def _chain(self, number: int, url: str) -> Iterable[str]:
        """I9: what has come since the last look follows from it."""
        first = hashlib.sha256(f"guilder shard {number}".encode()).digest()
        seq, hash_ = self._heads.get(url, (0, first))
        rows = self._read(
            url, f"SELECT seq,prev_hash,hash,payload FROM outbox WHERE seq>{seq} ORDER BY seq"
        )[0]
        for at, prev_hash, next_hash, payload in rows:
            expected = hashlib.sha256(hash_ + hashlib.sha256(payload).digest()).digest()
            if (at, prev_hash, next_hash) != (seq + 1, hash_, expected):
                yield f"I9: shard {number}: record {at} does not follow"
            seq, hash_ = at, next_hash
        self._heads[url] = seq, hash_

    def _wallets(self, model: Model) -> Iterable[str]:
        """Compare the walk's wallets and holds with the model, number by number."""
        rows: dict[bytes, Any] = {}
        holds: dict[bytes, Any] = {}
        if not model.purses:
            return
        ids = id_list({parse_id(wallet_id) for wallet_id in model.purses})
        for url in self._urls:
            balances, kept = self._read(
                url,
                "SELECT wallet_id,posted,held,overdraft_limit,status,version FROM balances"
                f" WHERE wallet_id IN ({ids})",
                "SELECT hold_id,authorized,captured,released,state FROM holds"
                f" WHERE wallet_id IN ({ids})",
            )
            rows |= {row[0]: row[1:] for row in balances}
            holds |= {row[0]: row[1:] for row in kept}
        for wallet_id, purse in model.purses.items():
            posted, held, overdraft, status, version = rows[parse_id(wallet_id)]
            found = (posted, held, overdraft, STATUSES[status], version)
            expected = (purse.posted, purse.held, purse.overdraft, purse.status, purse.version)
            if found != expected:
                yield f"wallet {wallet_id} is {found}, the model says {expected}"
        for hold_id, ticket in model.tickets.items():
            *sums, state = holds[parse_id(hold_id)]
            is_now = [*sums, HOLD_STATES[state]]
            should = [ticket.authorized, ticket.captured, ticket.released, ticket.state]
            if is_now != should:
                yield f"hold {hold_id} is {is_now}, the model says {should}"

    def _read(self, url: str, *statements: str) -> list[Rows]:
        return self._loop.run_until_complete(self._query(url, "; ".join(statements)))

    async def _query(self, url: str, packet: str) -> list[Rows]:
        give_up = time.monotonic() + SETTLE_S
        while True:
            try:
                async with asyncio.timeout(READ_S):
                    if url not in self._sessions:
                        self._sessions[url] = await open_session(
                            url, autocommit=True, durable=False
                        )
                    return await run_packet(self._sessions[url], packet)
            except Exception:
                # A server that was killed is started again by whoever killed it.
                session = self._sessions.pop(url, None)
                if session is not None:
                    session.close()
                if time.monotonic() > give_up:
                    raise
                await asyncio.sleep(0.1)
