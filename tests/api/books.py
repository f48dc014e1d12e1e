"""The invariants of the money, asked of the shards by SQL: shares no code with the service."""

import asyncio
from collections import Counter
from collections.abc import Sequence

from walletkit.sql.session import Rows, open_session, run_packet

SETTLE_S = 10
TRANSIT, SUSPENSE = 4, 5


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
    """Wait until no leg is under way, then check I1, I2, I3, I9 and I10 over all shards."""
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
        wrong = await ask(
            url, "SELECT * FROM balances WHERE held<>0 OR posted-held+overdraft_limit<0"
        )
        assert wrong == [], f"I3 on shard {shard}"
        await _pair(url, urls, pairs)
    assert not any(transit.values()), f"I2: {dict(transit)} in transit, but no open intent"
    assert not any(pairs.values()), f"I10: legs without their other half: {pairs}"


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


async def _pair(url: str, urls: Sequence[str], pairs: Counter[tuple[object, ...]]) -> None:
    """Count each transfer to another shard up, and each leg that landed down."""
    landed = await ask(url, "SELECT tx_id,leg FROM inbox")
    local = await ask(
        url,
        # A transfer whose two wallets are not both here went through `transit`.
        "SELECT t.tx_id,t.state FROM transactions t WHERE t.type=3 AND NOT EXISTS"
        " (SELECT 1 FROM balances b WHERE b.wallet_id=t.destination)",
    )
    for tx_id, state in local:
        assert state in {2, 3}, f"transaction {tx_id.hex()} is neither completed nor returned"
        pairs[tx_id, 0] += 1
        pairs[tx_id, 128] += state == 3
    for place in landed:
        pairs[place] -= 1


async def rows_of(urls: Sequence[str]) -> tuple[Rows, ...]:
    """Return everything that a change would show in: positions, balances, keys, transactions."""
    queries = (
        "SELECT seq,hash FROM head",
        "SELECT wallet_id,posted,held,status,version FROM balances ORDER BY wallet_id",
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
