"""The invariants of the money, asked of the shards by SQL: shares no code with the service."""

import asyncio
from collections import Counter
from collections.abc import Sequence

from walletkit.sql.session import Rows, open_session, run_packet

SETTLE_S = 10
TRANSIT, SUSPENSE = 4, 5
RETURN_LEG, RETURNED = 128, 2


async def ask(url: str, sql: str) -> Rows:
    """Run statements on a shard; return the last one's rows."""
    session = await open_session(url, autocommit=True)
    try:
        async with asyncio.timeout(SETTLE_S):
            results = await run_packet(session, sql)
    finally:
        session.close()
    return results[-1] if results else []


async def check(urls: Sequence[str]) -> None:
    """Wait until no leg is under way, then check I1, I2, I3, I8, I9 and I10 over all shards."""
    await settled(urls)
    transit: Counter[str] = Counter()
    pairs: Counter[tuple[object, ...]] = Counter()
    for shard, url in enumerate(urls):
        await _check_sums(url)
        await _check_records(url)
        for kind, currency, posted in await ask(
            url, "SELECT kind,currency,posted FROM system_wallets"
        ):
            assert posted == 0 or kind != SUSPENSE, f"shard {shard} has money in suspense"
            transit[currency] += int(posted) if kind == TRANSIT else 0
        await _check_balances(url, shard)
        await _pair(url, pairs)
    assert not any(transit.values()), f"I2: {dict(transit)} in transit, but no open intent"
    assert not any(pairs.values()), f"I10: legs without their other half: {pairs}"


async def _check_balances(url: str, shard: int) -> None:
    """I3: nobody has spent what was not there; I8: what is held is what open holds reserve."""
    wrong = await ask(url, "SELECT * FROM balances WHERE posted-held+overdraft_limit<0")
    assert wrong == [], f"I3 on shard {shard}"
    wrong = await ask(
        url,
        "SELECT b.wallet_id,b.held,h.open FROM balances b LEFT JOIN (SELECT wallet_id,"
        "SUM(authorized-captured-released) open FROM holds GROUP BY wallet_id) h"
        " ON h.wallet_id=b.wallet_id WHERE b.held<>COALESCE(h.open,0)",
    )
    assert wrong == [], f"I8 on shard {shard}: {wrong}"
    wrong = await ask(url, "SELECT * FROM holds WHERE state<>1 AND authorized<>captured+released")
    assert wrong == [], f"I8 on shard {shard}: ended holds that still reserve: {wrong}"


async def settled(urls: Sequence[str]) -> None:
    """Wait until every intent is closed."""
    async with asyncio.timeout(SETTLE_S):
        for url in urls:
            while await ask(url, "SELECT tx_id FROM intents LIMIT 1"):  # noqa: ASYNC110  # rows
                await asyncio.sleep(0.02)


async def _check_sums(url: str) -> None:
    """I1: all balances of a shard, system wallets included, sum to 0 in each currency."""
    sums = await ask(
        url,
        "SELECT currency,SUM(posted) FROM (SELECT currency,posted FROM balances UNION ALL"
        " SELECT currency,posted FROM system_wallets) a GROUP BY currency HAVING SUM(posted)<>0",
    )
    assert sums == [], f"I1: {sums}"


async def _check_records(url: str) -> None:
    """I9: records are gapless, each hash follows from the one before, and `head` is the last."""
    broken = await ask(
        url,
        "SELECT o.seq FROM outbox o LEFT JOIN outbox p ON p.seq=o.seq-1"
        " WHERE (o.seq>1 AND (p.seq IS NULL OR p.hash<>o.prev_hash))"
        " OR o.hash<>UNHEX(SHA2(CONCAT(o.prev_hash,UNHEX(SHA2(o.payload,256))),256))",
    )
    assert broken == [], f"I9: records {broken}"
    ahead = await ask(
        url, "SELECT seq FROM head WHERE seq<>(SELECT COALESCE(MAX(seq),0) FROM outbox)"
    )
    assert ahead == []


async def _pair(url: str, pairs: Counter[tuple[object, ...]]) -> None:
    """Count each credit that went to another shard up, and each leg that landed down."""
    beyond = (
        "destination>=x'01' AND NOT EXISTS (SELECT 1 FROM balances b WHERE b.wallet_id=destination)"
    )
    single = await ask(
        url,
        f"SELECT t.tx_id,0,t.state FROM transactions t WHERE {beyond}"
        " AND NOT EXISTS (SELECT 1 FROM tx_lines l WHERE l.tx_id=t.tx_id)",
    )
    several = await ask(
        url,
        "SELECT l.tx_id,l.n,t.state FROM tx_lines l JOIN transactions t ON t.tx_id=l.tx_id"
        f" WHERE l.{beyond.replace('=destination', '=l.destination')}",
    )
    for tx_id, leg, state in [*single, *several]:
        assert state in {2, 3}, f"transaction {tx_id.hex()} is neither completed nor returned"
        pairs[tx_id, leg] += 1
    for tx_id, leg, result in await ask(url, "SELECT tx_id,leg,result FROM inbox"):
        pairs[tx_id, leg] -= 1
        # What could not be credited opened a return.
        pairs[tx_id, leg + RETURN_LEG] += result == RETURNED


async def rows_of(urls: Sequence[str]) -> tuple[Rows, ...]:
    """Return everything that a change would show in: positions, balances, keys, transactions."""
    queries = (
        "SELECT seq,hash FROM head",
        "SELECT wallet_id,posted,held,status,version,flags FROM balances ORDER BY wallet_id",
        "SELECT * FROM holds ORDER BY hold_id",
        "SELECT * FROM limits ORDER BY owner",
        "SELECT * FROM accounts ORDER BY account_id",
        "SELECT * FROM assets ORDER BY currency",
        "SELECT wallet_id,opaque,alias FROM wallets ORDER BY wallet_id",
        "SELECT * FROM reversed ORDER BY tx_id",
        "SELECT COUNT(*) FROM outcomes",
        "SELECT COUNT(*) FROM transactions",
        "SELECT kind,currency,posted FROM system_wallets ORDER BY kind,currency",
    )
    return tuple([await ask(url, query) for url in urls for query in queries])


async def balances_of(urls: Sequence[str]) -> list[Rows]:
    """Return all balances and the number of transactions: what a decline must not change."""
    query = (
        "SELECT wallet_id,posted,held,status,version FROM balances"
        " UNION ALL SELECT 't',COUNT(*),0,0,0 FROM transactions"
        " UNION ALL SELECT currency,posted,kind,0,0 FROM system_wallets ORDER BY 1,2,3"
    )
    return [await ask(url, query) for url in urls]
