"""Load a backup, replay binlogs behind it, and only then give the database its name.

All of it happens in a database beside, named ``…_restoring``: what broke half way is never taken
for the database, and is in nobody's way but the next restore's. Nothing of it goes into the
server's own binlog, whose history begins with what is restored here: take a backup next.
"""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import zstandard
from asyncmy.errors import MySQLError

from walletkit.backup import binlogs, manifest, shard
from walletkit.backup.asking import ask
from walletkit.backup.binlogs import Ended, Stop
from walletkit.backup.errors import BackupError
from walletkit.backup.manifest import Head, Manifest
from walletkit.backup.programs import MAX_PACKET, Deadline, login_file, running
from walletkit.sql.session import create_database, parse_url

RESTORING = "_restoring"
LOCK_WAIT_S = 10
_CLIENT = (
    "--binary-mode",
    "--default-character-set=utf8mb4",
    f"--max-allowed-packet={MAX_PACKET}",
    "--init-command=SET SESSION sql_log_bin=0",
)
_UNPACK_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Restored:
    """What was brought back: to which place, and how long that took."""

    backup: Manifest
    database: str
    ended: Ended
    head: Head | None
    """Of a shard: its last record now. It is fenced."""
    load_seconds: float
    replay_seconds: float


def restore(
    folder: Path, url: str, deadline_s: float, *, binlog_folder: Path | None, stop: Stop
) -> Restored:
    """Bring a backup back as the url's database, which must be empty or missing.

    Without binlogs it is as of the backup. Raise ``BackupError``; then the url's database is as it
    was, and one that ends in ``_restoring`` may be left, to be looked at and dropped.
    """
    deadline = Deadline(deadline_s)
    backup = manifest.read(folder)
    manifest.check(folder, backup)
    files: list[Path] = []
    if binlog_folder is not None:
        files = binlogs.files_from(binlog_folder, backup.binlog, stop)
    elif stop != Stop():
        raise BackupError("a stop needs binlogs to stop in")
    beside = url + RESTORING
    _ensure_empty(url, deadline)
    _ensure_empty(beside, deadline)

    began = time.monotonic()
    _load(folder / manifest.DUMP_FILE, beside, deadline)
    if backup.shard is not None and shard.head(beside, deadline) != backup.shard:
        raise BackupError("the dump is not of the record that its manifest names")
    loaded = time.monotonic()
    ended = Ended()
    if files:
        ended = _replay(files, backup, stop, beside, deadline)
    head = None
    if backup.shard is not None:
        head = shard.check_chain(beside, backup.shard, deadline)
        shard.fence(beside, deadline)
    replayed = time.monotonic()
    _name(beside, url, deadline)
    database = parse_url(url).database
    return Restored(backup, database, ended, head, loaded - began, replayed - loaded)


def _ensure_empty(url: str, deadline: Deadline) -> None:
    """Create a database; refuse one that has anything in it."""
    database = parse_url(url).database
    try:
        asyncio.run(create_database(url))
    except (MySQLError, OSError) as error:
        raise BackupError(f"{database} can't be created: {error}") from None
    tables = _tables(url, deadline)
    if tables:
        way = "drop it first" if database.endswith(RESTORING) else "nothing is restored over it"
        raise BackupError(f"{database} is not empty (it has {tables[0]}, …): {way}")


def _load(path: Path, url: str, deadline: Deadline) -> None:
    with _client(url, deadline) as statements, path.open("rb") as packed:
        try:
            reader = zstandard.ZstdDecompressor().stream_reader(packed)
            while chunk := reader.read(_UNPACK_BYTES):
                statements.write(chunk)
        except zstandard.ZstdError as error:
            raise BackupError(f"{path} can't be unpacked: {error}") from None


def _replay(files: list[Path], backup: Manifest, stop: Stop, url: str, deadline: Deadline) -> Ended:
    names = backup.database, parse_url(url).database
    with _client(url, deadline) as statements:
        return binlogs.replay(files, backup.binlog, stop, names, statements, deadline)


@contextmanager
def _client(url: str, deadline: Deadline) -> Iterator[IO[bytes]]:
    """Run the client on a database for the block, which writes statements to it."""
    address = parse_url(url)
    with login_file(address) as login:
        arguments = (f"--defaults-file={login}", *_CLIENT, address.database)
        with running("mariadb", arguments, deadline, feed=True) as child:
            assert child.stdin is not None, "it is fed"
            yield child.stdin


def _name(beside: str, url: str, deadline: Deadline) -> None:
    """Give all tables their place at once, by one statement, and drop what they leave."""
    old, new = parse_url(beside).database, parse_url(url).database
    moves = ", ".join(f"`{old}`.`{name}` TO `{new}`.`{name}`" for name in _tables(beside, deadline))
    ask(
        beside,
        f"SET SESSION sql_log_bin=0; SET SESSION lock_wait_timeout={LOCK_WAIT_S};"
        f" RENAME TABLE {moves}; DROP DATABASE `{old}`",
        deadline,
    )


def _tables(url: str, deadline: Deadline) -> list[str]:
    return [name for (name,) in ask(url, "SHOW TABLES", deadline)[0]]
