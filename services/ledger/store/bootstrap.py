"""Bring the ledger's database into being: database, schema, partitions.

Run by ``migrate``; may run again at any time.
"""

from pathlib import Path

import structlog

from ledger.store import partitions
from walletkit.sql.migrate import upgrade
from walletkit.sql.session import create_database

MIGRATIONS = Path(__file__).resolve().parent.parent / "migrations"

log = structlog.get_logger()


async def bootstrap(url: str) -> None:
    """Create what is missing.

    Raise ``OSError``, ``MySQLError`` or ``TimeoutError`` when the database does not answer.
    """
    await create_database(url)
    await upgrade(url, MIGRATIONS)
    last_day = await partitions.extend(url)
    log.info("ledger is ready", last_day=last_day)
