"""Fixtures for notify: settings with short waits on fresh databases, a service, endpoints."""

from collections.abc import AsyncIterator, Callable

import pytest

from notify.settings import Settings
from notify.store import bootstrap
from tests.conftest import FreshDatabases
from tests.notify.world import Client, Endpoint, running


@pytest.fixture
def settings(fresh_databases: FreshDatabases) -> Settings:
    """Settings of a service whose retries come at once."""
    return Settings(
        listen="127.0.0.1:0",
        auth_mode="trusted",
        database_url=fresh_databases.notify,
        redis_url=fresh_databases.redis,
        allow_private_targets=True,
        retry_base_s=0.05,
        retry_factor=2,
        retry_cap_s=0.2,
        retry_attempts=4,
        delivery_timeout_s=1,
        heartbeat_s=0.3,
    )


@pytest.fixture
async def migrated(settings: Settings) -> Settings:
    """The same settings, with the schema made."""
    await bootstrap.bootstrap(settings.database_url)
    return settings


@pytest.fixture
async def notify(migrated: Settings) -> AsyncIterator[Client]:
    """A running service."""
    async with running(migrated) as client:
        yield client


@pytest.fixture
async def endpoints() -> AsyncIterator[Callable[[], Endpoint]]:
    """Make endpoints that end with the test; each has to be started."""
    made: list[Endpoint] = []

    def make() -> Endpoint:
        made.append(Endpoint())
        return made[-1]

    yield make
    for endpoint in made:
        await endpoint.stop()


@pytest.fixture
async def endpoint(endpoints: Callable[[], Endpoint]) -> Endpoint:
    """A customer's endpoint that listens."""
    made = endpoints()
    await made.start()
    return made
