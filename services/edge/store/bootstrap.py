"""Bring edge's database into being: database and schema.

Run by ``migrate``; may run again at any time.
"""

from pathlib import Path

import structlog

from walletkit.sql.migrate import upgrade
from walletkit.sql.session import create_database

MIGRATIONS = Path(__file__).resolve().parent.parent / "migrations"

log = structlog.get_logger()


async def bootstrap(url: str) -> None:
    """Create what is missing.

    Raise ``OSError``, ``MySQLError`` or ``TimeoutError`` without an answer.
    """
    await create_database(url)
    await upgrade(url, MIGRATIONS)
    log.info("edge is ready")
