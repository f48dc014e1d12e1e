"""Replay the binlogs behind a backup's position: in order, without a gap, to their end or a stop.

mariadb-binlog reads the files, this passes on what it says to the client, and notes where it ends.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from walletkit.backup.errors import BackupError
from walletkit.backup.manifest import BinlogPosition
from walletkit.backup.programs import Deadline, running

_EVENT = re.compile(rb"^#(\d{6} +\d+:\d\d:\d\d) server id \d+ +end_log_pos (\d+)\b.*\t(Xid|Query)")
_FILE_BEGINS = b"\tStart: binlog v"
_EVENT_TIME = "%y%m%d %H:%M:%S"


@dataclass(frozen=True, slots=True)
class Stop:
    """Where a replay ends: before a place, or before the first event of a time; None: at the end.

    A binlog knows times to the second, and an event has that of its statement's start.
    """

    position: BinlogPosition | None = None
    time: datetime | None = None


@dataclass(slots=True)
class Ended:
    """Behind the last change that was replayed, and when it was made; None: there was none."""

    position: BinlogPosition | None = None
    time: datetime | None = None


def files_from(folder: Path, start: BinlogPosition, stop: Stop) -> list[Path]:
    """List the files from the start's to the stop's. Raise ``BackupError`` when one is missing."""
    stem, _, first = start.file.rpartition(".")
    numbered = {
        int(path.suffix[1:]): path
        for path in folder.glob(f"{stem}.*")
        if path.suffix[1:].isdigit() and int(path.suffix[1:]) >= int(first)
    }
    last = max(numbered, default=int(first))
    if stop.position is not None:
        stop_stem, _, number = stop.position.file.rpartition(".")
        if stop_stem != stem or _order(stop.position) < _order(start):
            raise BackupError(f"{stop.position} is not behind the backup's position, {start}")
        last = int(number)
    wanted = range(int(first), last + 1)
    if missing := [number for number in wanted if number not in numbered]:
        raise BackupError(
            f"{folder} has no {stem}.{missing[0]:06}: binlogs are replayed from {start.file} on, "
            "without a gap"
        )
    if numbered[int(first)].stat().st_size < start.position:
        raise BackupError(f"{start.file} in {folder} ends before the backup's position, {start}")
    return [numbered[number] for number in wanted]


def replay(
    files: list[Path],
    start: BinlogPosition,
    stop: Stop,
    names: tuple[str, str],
    client: IO[bytes],
    deadline: Deadline,
) -> Ended:
    """Pass on the changes of a database to a client. ``names``: what it is called there, and here.

    Raise ``BackupError`` when a file can't be read to its end.
    """
    arguments = [
        "--no-defaults",
        # The database's own changes alone, under the name that it has now.
        f"--rewrite-db={names[0]}->{names[1]}",
        f"--database={names[0]}",
        f"--start-position={start.position}",
        # Order is that of the files. Numbers of an earlier restore may go back, and mean nothing.
        "--skip-gtid-strict-mode",
    ]
    if stop.position is not None:
        arguments.append(f"--stop-position={stop.position.position}")
    if stop.time is not None:
        arguments.append(f"--stop-datetime={stop.time.astimezone(UTC):%Y-%m-%d %H:%M:%S}")
    with running("mariadb-binlog", [*arguments, *map(str, files)], deadline) as reader:
        assert reader.stdout is not None, "it is a pipe"
        return _pass_on(reader.stdout, client, files)


def _pass_on(lines: Iterable[bytes], client: IO[bytes], files: list[Path]) -> Ended:
    ended = Ended()
    begun = 0
    for line in lines:
        if line.startswith(b"#"):
            begun += _FILE_BEGINS in line
            if found := _EVENT.match(line):
                name = files[max(begun, 1) - 1].name
                ended.position = BinlogPosition(file=name, position=int(found[2]))
                told = datetime.strptime(found[1].decode(), _EVENT_TIME)  # noqa: DTZ007  # next line
                ended.time = told.replace(tzinfo=UTC)
        client.write(line)
    return ended


def _order(place: BinlogPosition) -> tuple[int, int]:
    return int(place.file.rpartition(".")[2]), place.position
