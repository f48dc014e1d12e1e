"""A service's pool of sessions on its own database, with a deadline on everything."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import QueuePool

from walletkit.errors import ServiceError
from walletkit.sql.session import IDLE_TIMEOUT_S, open_session
from walletkit.telemetry.metrics import edge, notify

POOL_SIZE = 8
POOL_TIMEOUT_S = 3
CALL_TIMEOUT_S = 5
_METRICS = {"notify": notify, "edge": edge}


class Database:
    """Gives transactions; each is one unit of work, rolled back unless its block ends well.

    Faults of the connection reach the caller as ``<SERVICE>_UNAVAILABLE``: safe to retry.
    """

    def __init__(self, url: str, service: str, *, durable: bool) -> None:
        """Connect when first asked; ``durable`` refuses a server that may forget commits."""
        self._service = service
        self._engine: AsyncEngine = create_async_engine(
            "mysql+asyncmy://",
            async_creator=lambda: open_session(url, autocommit=False, durable=durable),
            pool_size=POOL_SIZE,
            max_overflow=0,
            pool_timeout=POOL_TIMEOUT_S,
            pool_pre_ping=True,
            pool_recycle=IDLE_TIMEOUT_S // 2,
        )
        pool = self._engine.pool
        assert isinstance(pool, QueuePool), "an engine of a server has this one"
        metrics = _METRICS[service]
        metrics.CONNECTIONS.of().follow(pool.checkedout)
        metrics.CONNECTIONS_MAX.of().set(POOL_SIZE)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """Run a block as one transaction.

        Raise ``<SERVICE>_UNAVAILABLE`` when the database does not answer.
        """
        try:
            async with asyncio.timeout(CALL_TIMEOUT_S), self._engine.begin() as connection:
                yield connection
        except (OperationalError, InterfaceError, PoolTimeoutError, OSError) as error:
            # TimeoutError is an OSError.
            raise self._unavailable() from error
        except DBAPIError as error:
            if error.connection_invalidated:
                raise self._unavailable() from error
            raise

    async def ping(self) -> None:
        """Ask for a sign of life. Raise ``<SERVICE>_UNAVAILABLE``."""
        async with self.transaction() as connection:
            await connection.execute(text("SELECT 1"))

    async def close(self) -> None:
        """Close all sessions."""
        await self._engine.dispose()

    def _unavailable(self) -> ServiceError:
        message = f"{self._service}'s database does not answer; retry later"
        return ServiceError(f"{self._service.upper()}_UNAVAILABLE", message)
