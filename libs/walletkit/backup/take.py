"""Dump one database as of one moment, into a folder that appears when it is whole."""

import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from walletkit.backup import manifest
from walletkit.backup.asking import ask
from walletkit.backup.dump import Dump
from walletkit.backup.errors import BackupError
from walletkit.backup.manifest import Manifest
from walletkit.backup.programs import MAX_PACKET, Deadline, login_file, running
from walletkit.durable import sync_file, sync_folder
from walletkit.sql.session import parse_url

OPTIONS = (
    # One snapshot (REPEATABLE READ) for all tables, and no lock: money moves on meanwhile.
    "--single-transaction",
    "--skip-lock-tables",
    # The binlog position of that very snapshot, as a comment: the server tells it without a lock.
    "--master-data=2",
    # Rows are streamed, never collected: a table may be larger than memory.
    "--quick",
    # Bytes as 0x…: no character set on the way can change them.
    "--hex-blob",
    "--default-character-set=utf8mb4",
    # Times as UTC, whatever the zone of who restores.
    "--tz-utc",
    # Columns by name: a restore does not depend on their order.
    "--complete-insert",
    "--extended-insert",
    # A dump never deletes: loaded over tables that are there, it fails.
    "--skip-add-drop-table",
    # A session that waits for a definition is no reason to go on without it.
    "--skip-force",
    f"--max-allowed-packet={MAX_PACKET}",
)
"""``--skip-opt`` is not given: what ``--opt`` adds beside these does no harm."""
PARTIAL = ".partial"
_SERVER = "SELECT VERSION(),@@server_id,@@log_bin"


@dataclass(frozen=True, slots=True)
class Backup:
    """A finished backup and its folder."""

    folder: Path
    manifest: Manifest


def take(url: str, into: Path, deadline_s: float) -> Backup:
    """Dump the url's database into a new folder below ``into``, and return it.

    Raise ``BackupError``; then there is no folder, and what was written is deleted.
    """
    deadline = Deadline(deadline_s)
    database = parse_url(url).database
    version, server_id = _server(url, deadline)
    begun_at = datetime.now(UTC)
    folder = into / f"{database}-{begun_at:%Y%m%dT%H%M%S.%fZ}"
    partial = folder.with_name(folder.name + PARTIAL)
    try:
        partial.mkdir(mode=0o700, parents=True)
        dump = _dump(url, partial / manifest.DUMP_FILE, deadline)
        if dump.position is None or not dump.ended:
            raise BackupError(f"{database}: the dump has no position, or no end")
        made = Manifest(
            database=database,
            server_version=version,
            server_id=server_id,
            begun_at=begun_at,
            ended_at=datetime.now(UTC),
            binlog=dump.position,
            gtid=dump.gtid,
            shard=dump.head,
            dump_bytes=dump.size,
            dump_sha256=dump.sha256,
        )
        _write(partial / manifest.MANIFEST_FILE, made)
        sync_folder(partial)
        partial.rename(folder)
        sync_folder(into)
    except OSError as error:
        raise BackupError(f"the backup can't be written: {error}") from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return Backup(folder, made)


def _server(url: str, deadline: Deadline) -> tuple[str, int]:
    ((version, server_id, log_bin),) = ask(url, _SERVER, deadline)[0]
    if "MariaDB" not in version:
        raise BackupError(f"the server is {version}: backups are made of MariaDB alone")
    if not log_bin:
        raise BackupError("the server writes no binlog: its backup would have no position")
    return version, server_id


def _dump(url: str, path: Path, deadline: Deadline) -> Dump:
    address = parse_url(url)
    dump = Dump()
    with (
        login_file(address) as login,
        path.open("xb") as file,
        running(
            "mariadb-dump",
            (f"--defaults-file={login}", *OPTIONS, address.database),
            deadline,
        ) as child,
    ):
        path.chmod(0o600)
        assert child.stdout is not None, "it is a pipe"
        dump.pack(child.stdout, file)
        sync_file(file)
    return dump


def _write(path: Path, made: Manifest) -> None:
    with path.open("x", encoding="utf-8") as file:
        file.write(made.model_dump_json(indent=2) + "\n")
        sync_file(file)
