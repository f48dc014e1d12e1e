"""Fixtures for edge: settings with files of their own on fresh databases, and a process."""

import secrets
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from edge.settings import Settings
from edge.store import bootstrap
from tests.conftest import FreshDatabases
from tests.edge.world import AUDIENCE, ISSUER, WINDOW_S, Edge, running

LIMITS = """
[default]
read = { per_second = 1000, burst = 2000 }
write = { per_second = 100, burst = 200 }

[clients.slow]
write = { per_second = 0.5, burst = 5 }
[clients."key:slow"]
write = { per_second = 0.5, burst = 5 }
"""


@pytest.fixture
def settings(fresh_databases: FreshDatabases, tmp_path: Path) -> Settings:
    """Settings whose files were made for this test."""
    signing, sealing, limits = (tmp_path / name for name in ("edge.pem", "seal.key", "limits.toml"))
    key = Ed25519PrivateKey.generate()
    signing.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    sealing.write_text(secrets.token_hex(32))
    limits.write_text(LIMITS)
    return Settings(
        listen="127.0.0.1:0",
        auth_mode="trusted",
        database_url=fresh_databases.edge,
        redis_url=fresh_databases.redis,
        signing_key_file=signing,
        sealing_key_file=sealing,
        limits_file=limits,
        signature_window_s=WINDOW_S,
        issuer=ISSUER,
        audience=AUDIENCE,
        max_keys=5,
    )


@pytest.fixture
async def migrated(settings: Settings) -> Settings:
    """The same settings, with the schema made."""
    await bootstrap.bootstrap(settings.database_url)
    return settings


@pytest.fixture
async def edge(migrated: Settings) -> AsyncIterator[Edge]:
    """A running process."""
    async with running(migrated) as started:
        yield started
