"""Ask the databases of a suite, over a session on each."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import asyncmy

from walletkit.sql.session import Rows, open_session, run_packet
from walletkit.stack import Stack

Sessions = tuple[list[asyncmy.Connection], asyncmy.Connection]
"""On each shard in turn, and on the server that ledger and notify share."""


@asynccontextmanager
async def sessions(stack: Stack) -> AsyncIterator[Sessions]:
    """Open them for as long as the block lasts."""
    async with AsyncExitStack() as closing:

        async def session(url: str) -> asyncmy.Connection:
            made = await open_session(url, autocommit=True, durable=False)
            closing.callback(made.close)
            return made

        shards = [
            await session(stack.shard_url(n, f"wallet_{n}"))
            for n in range(len(stack.settings.shard_ports))
        ]
        yield shards, await session(stack.books_url("ledger"))


async def ask(connection: asyncmy.Connection, sql: str, timeout_s: float) -> Rows:
    """Return the rows of a statement; none where it has no answer. Raise what the driver raises."""
    async with asyncio.timeout(timeout_s):
        answers = await run_packet(connection, sql)
    return answers[0] if answers else []
