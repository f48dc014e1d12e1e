"""Run a few statements on a database from code that waits: a session for each packet."""

import asyncio

from asyncmy.errors import MySQLError

from walletkit.backup.errors import BackupError
from walletkit.backup.programs import Deadline
from walletkit.sql.session import Rows, open_session, parse_url, run_packet


def ask(url: str, packet: str, deadline: Deadline) -> list[Rows]:
    """Return the rows of each statement that has any. Raise ``BackupError`` when it fails."""
    try:
        return asyncio.run(_ask(url, packet, deadline.left()))
    except TimeoutError:
        raise BackupError(f"{parse_url(url).database}: no answer to a statement in time") from None
    except (MySQLError, OSError, RuntimeError) as error:
        address = parse_url(url)
        where = f"{address.database} on {address.host}:{address.port}"
        raise BackupError(f"{where}: {error}") from None


async def _ask(url: str, packet: str, seconds: float) -> list[Rows]:
    session = await open_session(url, autocommit=True, durable=False)
    try:
        async with asyncio.timeout(seconds):
            return await run_packet(session, packet)
    finally:
        session.close()
