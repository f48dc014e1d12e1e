"""Edge as operators run it: what refuses a start, what a command prints, schema up and down."""

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from pathlib import Path

import pytest

from edge import __main__
from edge.access.issuer import SigningKey
from edge.access.sealing import Sealer
from edge.settings import Settings, load
from edge.store import bootstrap
from edge.store.tables import metadata
from tests.edge.test_keys import rows
from walletkit.settings import SettingsError
from walletkit.sql.migrate import downgrade, upgrade
from walletkit.sql.session import create_database
from walletkit.stack.settings import free_ports

PATIENCE_S = 120
"""How long a process may take to start or end where the machine is busy."""


def environment(settings: Settings, port: int = 1) -> dict[str, str]:
    """Return the variables of a process, and nothing of this one's."""
    others = {name: value for name, value in os.environ.items() if name[:5] != "EDGE_"}
    return others | {
        "EDGE_LISTEN": f"127.0.0.1:{port}",
        "EDGE_AUTH_MODE": "trusted",
        "EDGE_DATABASE_URL": settings.database_url,
        "EDGE_REDIS_URL": settings.redis_url,
        "EDGE_SIGNING_KEY_FILE": str(settings.signing_key_file),
        "EDGE_SEALING_KEY_FILE": str(settings.sealing_key_file),
        "EDGE_LIMITS_FILE": str(settings.limits_file),
        "EDGE_SIGNATURE_WINDOW_S": "60",
        "EDGE_ISSUER": settings.issuer,
        "EDGE_AUDIENCE": settings.audience,
    }


async def start(command: str, variables: dict[str, str]) -> Process:
    """Start a command with nothing but its own environment."""
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "edge", command), env=variables, stdout=PIPE
    )


def test_missing_and_wrong_settings_refuse_the_start(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is named, the signatures' window among them: it has no default to forget (T31)."""
    for name, value in environment(settings).items():
        monkeypatch.setenv(name, value)
    assert load().signature_window_s == 60
    broken = tmp_path / "broken.toml"
    broken.write_text("[default]\nread = { per_second = nan, burst = 1 }\n")
    for name, text in (
        ("EDGE_SIGNATURE_WINDOW_S", None),
        ("EDGE_SIGNATURE_WINDOW_S", "nan"),
        ("EDGE_SIGNATURE_WINDOW_S", "0"),
        ("EDGE_SEALING_KEY_FILE", str(tmp_path / "nowhere")),
        ("EDGE_LIMITS_FILE", str(broken)),
        ("EDGE_SIGNATURE_TTL", "5"),
    ):
        with monkeypatch.context() as wrong:
            if text is None:
                wrong.delenv(name)
            else:
                wrong.setenv(name, text)
            with pytest.raises(SettingsError, match=name):
                load()


def test_file_without_a_key_is_refused(settings: Settings) -> None:
    """What is in the key files is checked before anything is served."""
    for path, read in (
        (settings.sealing_key_file, Sealer.read),
        (settings.signing_key_file, SigningKey.read),
    ):
        path.write_text("no key")
        with pytest.raises(SettingsError, match=path.name):
            read(path)


def test_start_without_a_window_is_refused(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The program ends at once, with the exit code of a wrong setting."""
    for name, value in environment(settings).items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("EDGE_SIGNATURE_WINDOW_S")
    monkeypatch.setattr(sys, "argv", ["edge", "serve"])
    with pytest.raises(SystemExit) as ended:
        __main__.main()
    assert ended.value.code == 2
    assert "EDGE_SIGNATURE_WINDOW_S" in capsys.readouterr().err


def test_jwks_has_the_public_half_alone(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    """What services are given has no private part."""
    __main__._print_jwks(settings)
    (key,) = json.loads(capsys.readouterr().out)["keys"]
    assert (key["kty"], key["crv"], key["alg"]) == ("OKP", "Ed25519", "EdDSA")
    assert "d" not in key


async def test_migrated_served_and_stopped(settings: Settings) -> None:
    """A process says that it is ready, and ends by itself when it is asked to."""
    (port,) = free_ports(1)
    variables = environment(settings, port)
    migration = await start("migrate", variables)
    out, _ = await asyncio.wait_for(migration.communicate(), PATIENCE_S)
    assert migration.returncode == 0, out
    process = await start("serve", variables)
    assert process.stdout is not None
    lines: list[str] = []
    async with asyncio.timeout(PATIENCE_S):
        while not any('"serving": true' in line for line in lines):
            lines.append((await process.stdout.readline()).decode())
    process.send_signal(signal.SIGTERM)
    assert await asyncio.wait_for(process.wait(), PATIENCE_S) == 0


async def test_schema_goes_up_down_and_up(settings: Settings) -> None:
    """From empty, again after everything was taken down, and after it broke half way."""
    url = settings.database_url
    await create_database(url)
    for _ in range(2):
        await upgrade(url, bootstrap.MIGRATIONS)
        found = {name for (name,) in await rows(settings, "SHOW TABLES")}
        assert found == {"alembic_version", *metadata.tables}
        for table in metadata.tables.values():
            columns = await rows(settings, f"SHOW COLUMNS FROM {table.name}")
            named = {(name, null == "YES") for name, _, null, *_ in columns}
            assert named == {(column.name, bool(column.nullable)) for column in table.columns}
        await downgrade(url, bootstrap.MIGRATIONS, "base")
        assert await rows(settings, "SHOW TABLES LIKE '%key%'") == []
    await upgrade(url, bootstrap.MIGRATIONS)
    await rows(settings, "DELETE FROM alembic_version; DROP TABLE key_events")
    await upgrade(url, bootstrap.MIGRATIONS)
    assert await rows(settings, "SHOW TABLES LIKE '%key%'") == [("api_keys",), ("key_events",)]
