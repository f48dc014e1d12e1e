"""Run MariaDB's client programs: where they are, whom they log in as, how long they may take.

A password goes to them in a file that only this user may read, never on a command line.
"""

import os
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from walletkit.backup.errors import BackupError
from walletkit.sql.session import Address

STDERR_CHARACTERS = 2_000
MAX_PACKET = "1G"
"""The longest line of a dump and the largest event of a binlog that a program takes; its bound."""


class Deadline:
    """One bound for a whole piece of work, however many programs it runs."""

    def __init__(self, seconds: float) -> None:
        """Begin now."""
        self.seconds = seconds
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        """Return the seconds that are left. Raise ``BackupError`` when none are."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise BackupError(f"not done within the deadline of {self.seconds:.0f} s")
        return left


@contextmanager
def login_file(address: Address) -> Iterator[Path]:
    """Write an option file with a server and who logs in; gone when the block ends."""
    values = {"host": address.host, "port": str(address.port), "user": address.user}
    values["password"] = address.password
    with tempfile.TemporaryDirectory(prefix="guilder-backup-") as folder:
        path = Path(folder) / "login.cnf"
        lines = ["[client]", "protocol=tcp", *(f'{k}="{_quoted(v)}"' for k, v in values.items())]
        path.touch(mode=0o600)
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        yield path


@contextmanager
def running(
    name: str, arguments: Sequence[str], deadline: Deadline, *, feed: bool = False
) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a program for the block: ``stdin`` where it is fed, else ``stdout`` is a pipe.

    Raise ``BackupError`` unless it ends well within the deadline. When the block fails the program
    is killed, so that it can't go on with half of what it should have got.
    """
    path = shutil.which(name)
    if path is None:
        raise BackupError(f"{name} is not installed: Debian's package mariadb-client has it")
    seconds = deadline.left()
    with tempfile.TemporaryFile() as told:
        child = subprocess.Popen(  # noqa: S603  # a fixed program
            [path, *arguments],
            stdin=subprocess.PIPE if feed else subprocess.DEVNULL,
            stdout=subprocess.DEVNULL if feed else subprocess.PIPE,
            stderr=told,
            # Times that a program is told are UTC.
            env={**os.environ, "TZ": "UTC"},
        )
        late = threading.Event()
        timer = threading.Timer(seconds, _end, (child, late))
        timer.start()
        try:
            yield child
            if child.stdin is not None:
                child.stdin.close()
            status = child.wait()
        except BrokenPipeError:
            if not feed:
                raise  # another program's pipe
            # It has ended before it took all: what it said tells why.
            status = child.wait() or 1
        finally:
            timer.cancel()
            child.kill()
            child.wait()
            _close(child)
        if late.is_set():
            deadline.left()
            raise BackupError(f"{name} was ended after {deadline.seconds:.0f} s")
        if status != 0:
            raise BackupError(f"{name} failed with exit code {status}: {_read(told)}")


def _close(child: "subprocess.Popen[bytes]") -> None:
    for pipe in (child.stdin, child.stdout):
        if pipe is not None:
            try:
                pipe.close()
            except BrokenPipeError:
                continue


def _end(child: "subprocess.Popen[bytes]", late: threading.Event) -> None:
    late.set()
    child.kill()


def _quoted(value: str) -> str:
    """Write a value for an option file, between quotes."""
    if "\n" in value or "\r" in value:
        raise BackupError("user, password or host of the URL holds a line break")
    return value.replace("\\", "\\\\").replace('"', '\\"')


def _read(told: IO[bytes]) -> str:
    told.seek(0)
    return told.read().decode(errors="replace").strip()[-STDERR_CHARACTERS:]
