"""Run a service's schema migrations from code: alembic without an ini file.

``env.py`` of a service is one call of ``run_environment``; everything else about a run is decided
here. DDL commits by itself in MySQL, so a migration must be able to run again after it broke half
way.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path

from alembic import command, context
from alembic.config import Config
from sqlalchemy import URL, Connection
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from walletkit.sql.session import CONNECT_TIMEOUT_S, parse_url

MIGRATION_TIMEOUT_S = 600
DDL_LOCK_WAIT_S = 10
"""How long a DDL statement may wait for its table: all its writers wait behind it meanwhile."""

_CONNECTION = "connection"


async def upgrade(url: str, script_location: Path | str) -> None:
    """Bring the schema to the newest revision. The database must exist."""
    await _run(url, script_location, lambda config: command.upgrade(config, "head"))


async def downgrade(url: str, script_location: Path | str, revision: str) -> None:
    """Take the schema back to ``revision``; ``base`` is before the first."""
    await _run(url, script_location, lambda config: command.downgrade(config, revision))


def run_environment() -> None:
    """Run the migrations that alembic chose; for a service's ``env.py``."""
    context.configure(connection=context.config.attributes[_CONNECTION], target_metadata=None)
    with context.begin_transaction():
        context.run_migrations()


async def _run(url: str, script_location: Path | str, step: Callable[[Config], None]) -> None:
    def run(connection: Connection) -> None:
        config = Config()
        config.set_main_option("script_location", str(script_location).replace("%", "%%"))
        config.set_main_option("path_separator", "os")
        config.attributes[_CONNECTION] = connection
        step(config)

    engine = create_async_engine(
        _engine_url(url),
        poolclass=NullPool,
        connect_args={
            "connect_timeout": CONNECT_TIMEOUT_S,
            "init_command": f"SET SESSION lock_wait_timeout={DDL_LOCK_WAIT_S}",
        },
    )
    try:
        async with asyncio.timeout(MIGRATION_TIMEOUT_S), engine.begin() as connection:
            await connection.run_sync(run)
    finally:
        await engine.dispose()


def _engine_url(url: str) -> URL:
    address = parse_url(url)
    return URL.create(
        "mysql+asyncmy",
        username=address.user,
        password=address.password,
        host=address.host,
        port=address.port,
        database=address.database,
    )
