"""A database is brought back from dump and binlogs to its last commit, or to a moment before."""

import asyncio
import json
import os
import stat
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from urllib.parse import quote

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.conftest import FreshDatabases
from tests.wallet.shard_sql import append, query, stream_of
from wallet.store.bootstrap import bootstrap
from walletkit.backup import manifest, shard
from walletkit.backup.binlogs import Stop
from walletkit.backup.errors import BackupError
from walletkit.backup.manifest import BinlogPosition, Manifest
from walletkit.backup.restore import RESTORING, Restored, restore
from walletkit.backup.take import PARTIAL, Backup, take
from walletkit.sql.session import create_database, parse_url
from walletkit.stack import Stack
from walletkit.telemetry.metrics.backup import LAST_SUCCESS

DEADLINE_S = 60.0
PASSWORD = "p\"a#s'\\s; w=%"


@dataclass(frozen=True, slots=True)
class Source:
    """A shard with records, and where it may be restored: on another server."""

    url: str
    target: str
    ledger: str
    binlogs: Path
    folder: Path

    async def take(self) -> Backup:
        """Take a backup of the shard."""
        return await asyncio.to_thread(take, self.url, self.folder, DEADLINE_S)

    async def restore(
        self,
        backup: Backup,
        *,
        replay: bool = True,
        stop: Stop = Stop(),  # noqa: B008  # frozen
    ) -> Restored:
        """Restore a backup, to the end of the binlogs unless told."""
        binlogs = self.binlogs if replay else None
        return await asyncio.to_thread(
            restore,
            backup.folder,
            self.target,
            DEADLINE_S,
            binlog_folder=binlogs,
            stop=stop,
        )


@pytest.fixture
async def source(
    fresh_databases: FreshDatabases, databases: Stack, tmp_path: Path
) -> AsyncIterator[Source]:
    """Make a shard with some records."""
    url = fresh_databases.shards[0]
    target = databases.shard_url(1, f"{parse_url(url).database}_again")
    await bootstrap([url])
    await append(url, 5)
    await create_database(fresh_databases.ledger)
    await query(
        fresh_databases.ledger,
        "CREATE TABLE cursors(shard INT PRIMARY KEY, seq BIGINT, hash BINARY(32))",
    )
    run_dir = databases.settings.run_dir
    yield Source(url, target, fresh_databases.ledger, run_dir / "shard-0", tmp_path)
    name = parse_url(target).database
    for one in (name, name + RESTORING):
        databases.execute("shard-1", f"DROP DATABASE IF EXISTS {one}")


async def checksums(url: str) -> dict[str, int]:
    """Sum up every table but those that fencing changes."""
    names = [name for (name,) in await query(url, "SHOW TABLES") if name not in ("slots", "head")]
    return {name: (await query(url, f"CHECKSUM TABLE `{name}`"))[0][1] for name in sorted(names)}


async def position(url: str) -> BinlogPosition:
    """Return where the server's binlog ends now."""
    file, place, *_ = (await query(url, "SHOW MASTER STATUS"))[0]
    return BinlogPosition(file=file, position=place)


async def test_a_backup_and_its_binlogs_are_the_whole_database(source: Source) -> None:
    """Every row of every table, before and after the backup; the shard is fenced."""
    backup = await source.take()
    await append(source.url, 7)
    done = await source.restore(backup)
    assert backup.manifest.shard is not None
    assert backup.manifest.shard.seq == 5
    assert await checksums(source.target) == await checksums(source.url)
    assert await stream_of(source.target) == await stream_of(source.url)
    assert done.head is not None
    assert done.head.seq == 12
    assert await query(source.target, "SELECT DISTINCT state FROM slots") == [(2,)]
    ((here,),) = await query(source.target, "SELECT epoch FROM head")
    ((there,),) = await query(source.url, "SELECT epoch FROM head")
    assert here == there + 1
    with pytest.raises(Exception, match="Unknown database"):
        await query(source.target + RESTORING, "SELECT 1")


async def test_a_backup_alone_is_its_moment(source: Source) -> None:
    """What came after it is not there, and the dump has what its manifest names."""
    expected = await checksums(source.url)
    backup = await source.take()
    await append(source.url, 3)
    done = await source.restore(backup, replay=False)
    assert await checksums(source.target) == expected
    assert done.head == backup.manifest.shard
    assert done.ended.position is None


async def test_it_is_taken_while_others_write(source: Source) -> None:
    """A dump in the midst of commits is of one moment, and its binlog goes on right there."""
    writing = asyncio.create_task(append(source.url, 400))
    await asyncio.sleep(0.05)
    backup = await source.take()
    await writing
    assert backup.manifest.shard is not None
    assert 5 <= backup.manifest.shard.seq <= 405
    done = await source.restore(backup)
    assert done.head is not None
    assert done.head.seq == 405
    assert await checksums(source.target) == await checksums(source.url)


async def test_a_replay_stops_at_a_place_exactly(source: Source) -> None:
    """The commit before the place is there, the one behind it is not."""
    backup = await source.take()
    await append(source.url, 4)
    place, expected = await position(source.url), await checksums(source.url)
    await append(source.url, 1)
    done = await source.restore(backup, stop=Stop(position=place))
    assert done.ended.position == place
    assert await checksums(source.target) == expected


async def test_a_replay_stops_at_a_time_exactly(source: Source) -> None:
    """The commit of the second before is there, the one of the second is not; over files, too."""
    backup = await source.take()
    await query(source.url, "FLUSH BINARY LOGS")
    await append(source.url, 2)
    expected = await checksums(source.url)
    await asyncio.sleep(1.1)
    ((now,),) = await query(source.url, "SELECT DATE_FORMAT(UTC_TIMESTAMP(),'%Y-%m-%dT%H:%i:%SZ')")
    await append(source.url, 2)
    await query(source.url, "FLUSH BINARY LOGS")
    await append(source.url, 2)
    done = await source.restore(backup, stop=Stop(time=datetime.fromisoformat(now)))
    assert await checksums(source.target) == expected
    assert done.head is not None
    assert done.head.seq == 7


async def test_others_on_the_server_stay_out(
    source: Source, fresh_databases: FreshDatabases, databases: Stack
) -> None:
    """What another database of the same server did meanwhile is not replayed."""
    other = databases.shard_url(0, f"{parse_url(source.url).database}_other")
    backup = await source.take()
    await create_database(other)
    try:
        await query(other, "CREATE TABLE x(a INT PRIMARY KEY); INSERT INTO x VALUES (1)")
        await append(source.url, 1)
        await source.restore(backup)
    finally:
        databases.execute("shard-0", f"DROP DATABASE {parse_url(other).database}")
    assert await checksums(source.target) == await checksums(source.url)
    names = {name for (name,) in await query(source.target, "SHOW DATABASES")}
    assert parse_url(other).database not in names


async def test_a_changed_byte_is_refused(source: Source) -> None:
    """A dump that is not what its manifest says is not loaded, nor one that was cut short."""
    backup = await source.take()
    dump = backup.folder / manifest.DUMP_FILE
    whole = dump.read_bytes()
    for damaged in (bytes([*whole[:-9], whole[-9] ^ 1, *whole[-8:]]), whole[:-1]):
        dump.write_bytes(damaged)
        with pytest.raises(BackupError, match="damaged"):
            await source.restore(backup)
    with pytest.raises(Exception, match="Unknown database"):
        await query(source.target, "SELECT 1")


@pytest.mark.parametrize("suffix", ["", RESTORING])
async def test_nothing_is_restored_over_what_is_there(source: Source, suffix: str) -> None:
    """A target with one table is refused, and so is what an earlier try has left."""
    backup = await source.take()
    await create_database(source.target + suffix)
    await query(source.target + suffix, "CREATE TABLE kept(a INT PRIMARY KEY)")
    with pytest.raises(BackupError, match="is not empty"):
        await source.restore(backup)
    assert await query(source.target + suffix, "SHOW TABLES") == [("kept",)]


async def test_a_gap_between_binlogs_is_refused(source: Source) -> None:
    """A file that is missing is named; binlogs that end before the backup are refused, too."""
    backup = await source.take()
    await query(source.url, "FLUSH BINARY LOGS")
    await query(source.url, "FLUSH BINARY LOGS")
    start = backup.manifest.binlog
    number = int(start.file.rpartition(".")[2])
    archive = source.folder / "archive"
    archive.mkdir()
    for n in (number, number + 2):
        (archive / f"binlog.{n:06}").write_bytes((source.binlogs / f"binlog.{n:06}").read_bytes())
    cut = Source(source.url, source.target, source.ledger, archive, source.folder)
    with pytest.raises(BackupError, match=f"has no binlog.{number + 1:06}"):
        await cut.restore(backup)
    (archive / start.file).write_bytes(b"short")
    (archive / f"binlog.{number + 2:06}").unlink()
    with pytest.raises(BackupError, match="ends before"):
        await cut.restore(backup)


async def test_half_a_commit_at_the_end_is_left_out(source: Source) -> None:
    """Where the last file breaks off, as power loss leaves it, the commits before it are there."""
    backup = await source.take()
    await append(source.url, 3)
    place = await position(source.url)
    archive = source.folder / "archive"
    archive.mkdir()
    torn = (source.binlogs / place.file).read_bytes()[: place.position - 10]
    (archive / place.file).write_bytes(torn)
    cut = Source(source.url, source.target, source.ledger, archive, source.folder)
    done = await cut.restore(backup)
    assert done.head is not None
    assert done.head.seq == 7


async def test_binlogs_of_another_history_are_refused(source: Source) -> None:
    """Records that don't continue the backup's last one are not taken for the shard's."""
    backup = await source.take()
    await append(source.url, 2)
    await query(source.url, "UPDATE outbox SET prev_hash=x'00' WHERE seq=7")
    with pytest.raises(BackupError, match="not the binlogs"):
        await source.restore(backup)
    assert await query(source.target, "SHOW TABLES") == []


async def test_a_shard_behind_the_ledger_stays_fenced(source: Source) -> None:
    """It is admitted when the ledger has nothing that it lacks, and nothing else."""
    backup = await source.take()
    await append(source.url, 3)
    stream = dict(await stream_of(source.url))
    await source.restore(backup, replay=False)

    async def admit(seq: int, hash_: bytes) -> None:
        await query(source.ledger, f"REPLACE INTO cursors VALUES (0,{seq},x'{hash_.hex()}')")
        await asyncio.to_thread(shard.admit, source.target, source.ledger, DEADLINE_S)

    with pytest.raises(BackupError, match="3 records are lost"):
        await admit(8, stream[8])
    for seq in (3, 5):
        with pytest.raises(BackupError, match="has not the ledger's record"):
            await admit(seq, bytes(32))
    assert await query(source.target, "SELECT DISTINCT state FROM slots") == [(2,)]
    await admit(4, stream[4])
    assert await query(source.target, "SELECT DISTINCT state FROM slots") == [(1,)]


async def test_a_backup_that_fails_leaves_nothing(source: Source) -> None:
    """A database that is not there, and a deadline that is too short, leave no folder."""
    for url, seconds in ((source.url + "_none", DEADLINE_S), (source.url, 0.01)):
        with pytest.raises(BackupError):
            await asyncio.to_thread(take, url, source.folder / "into", seconds)
    assert not list(source.folder.glob("into/*"))


async def test_an_unfinished_backup_is_none(source: Source) -> None:
    """A folder without its manifest, and a manifest that is none, are refused with their path."""
    backup = await source.take()
    path = backup.folder / manifest.MANIFEST_FILE
    told = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**told, "dump_sha256": "x"}), encoding="utf-8")
    with pytest.raises(BackupError, match="dump_sha256"):
        await source.restore(backup)
    path.unlink()
    with pytest.raises(BackupError, match="no finished backup"):
        await source.restore(backup)


async def test_commands_with_least_privileges_and_an_odd_password(
    source: Source, databases: Stack
) -> None:
    """As documented: a user for each, the password in the environment alone; exit codes; files."""
    user = parse_url(source.url).database[:20]
    database, again = parse_url(source.url).database, parse_url(source.target).database
    for name in ("shard-0", "shard-1"):
        databases.execute(name, f"CREATE USER {user} IDENTIFIED BY {_text(PASSWORD)}")
    databases.execute("shard-0", f"GRANT SELECT, SHOW VIEW, TRIGGER ON {database}.* TO {user}")
    databases.execute("shard-0", f"GRANT BINLOG MONITOR ON *.* TO {user}")
    for one in (again, again + RESTORING):
        databases.execute("shard-1", f"GRANT ALL ON {one}.* TO {user}")
    databases.execute("shard-1", f"GRANT BINLOG ADMIN, BINLOG REPLAY ON *.* TO {user}")
    metrics = source.folder / "backup.prom"
    login = f"mysql://{user}:{quote(PASSWORD, safe='')}@"
    there = source.url.replace("mysql://root@", login)
    here = source.target.replace("mysql://root@", login)
    try:
        taken = _run(["take", "--into", str(source.folder), "--metrics-file", str(metrics)], there)
        assert taken.returncode == 0, taken.stderr
        await append(source.url, 1)
        folder = Path(taken.stdout.strip())
        command = ["restore", "--backup", str(folder), "--binlogs", str(source.binlogs)]
        restored = _run(command, here)
        assert restored.returncode == 0, restored.stderr
        assert "head: shard 0, record 6" in restored.stdout
        assert "ended: binlog." in restored.stdout
        refused = _run(command, here)
        assert (refused.returncode, refused.stdout) == (1, "")
        assert "is not empty" in refused.stderr
    finally:
        for name in ("shard-0", "shard-1"):
            databases.execute(name, f"DROP USER {user}")
    assert modes(folder) == (0o700, 0o600)
    assert not list(source.folder.glob(f"*{PARTIAL}"))
    assert_told(metrics, manifest.read(folder))


@pytest.mark.parametrize(
    ("option", "value", "told"),
    [
        ("--stop-datetime", "yesterday", "a time with its zone"),
        ("--stop-datetime", "2026-01-01T00:00:00", "a time with its zone"),
        ("--stop-position", "binlog.000001", "FILE:POSITION"),
        ("--stop-position", "binlog.000001:x", "FILE:POSITION"),
    ],
)
def test_a_wrong_stop_is_named(tmp_path: Path, option: str, value: str, told: str) -> None:
    """Option, value and rule."""
    done = _run(["restore", "--backup", str(tmp_path), option, value], "mysql://root@h:1/d")
    assert done.returncode == 2
    assert f"{option}: {value!r} is not" in done.stderr
    assert told in done.stderr


@pytest.mark.parametrize("url", ["", "mysql://root:secret@h:1/"])
def test_a_wrong_url_is_named_by_its_variable(tmp_path: Path, url: str) -> None:
    """And what may hold a password is not told."""
    done = _run(["take", "--into", str(tmp_path)], url)
    assert done.returncode == 2
    assert "BACKUP_DATABASE_URL" in done.stderr
    assert "secret" not in done.stderr


def assert_told(path: Path, backup: Manifest) -> None:
    """The file for Prometheus has the one declared metric, of this backup's begin."""
    (metric,) = text_string_to_metric_families(path.read_text(encoding="ascii"))
    assert (metric.name, metric.type) == (LAST_SUCCESS.name, LAST_SUCCESS.kind)
    (sample,) = metric.samples
    assert sample.labels == dict(zip(LAST_SUCCESS.labels, [backup.database], strict=True))
    assert abs(sample.value - backup.begun_at.timestamp()) <= 1


def modes(backup: Path) -> tuple[int, int]:
    """Return who may read a backup's folder, and its dump."""
    paths = backup, backup / manifest.DUMP_FILE
    folder, dump = (stat.S_IMODE(path.stat().st_mode) for path in paths)
    return folder, dump


def _text(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"


def _run(arguments: list[str], url: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "walletkit.backup", *arguments],
        env={**os.environ, "BACKUP_DATABASE_URL": url},
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
