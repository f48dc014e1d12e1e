"""One child process: what to run, and the safe ways to start, watch and end it.

A process is known by its pid and its birth (boot and start time), and signalled through a pidfd
that was checked against it, so that a recycled pid is never hit.
"""

import os
import shutil
import signal
import subprocess
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from walletkit.stack.errors import StackError

POLL_SECONDS = 0.05
TAIL_LINES = 20
# A log that has grown beyond this begins anew at the next start; one older is kept.
LOG_LIMIT_BYTES = 64 * 2**20
KILL_WAIT_SECONDS = 5
# Debian keeps servers where a plain user's PATH does not look.
SERVER_FOLDERS = ("/usr/local/sbin", "/usr/sbin", "/sbin")


@dataclass(frozen=True, slots=True)
class Spec:
    """What one process of the suite runs; `probe(pid)` returns quietly once it answers."""

    name: str
    argv: tuple[str, ...]
    executable: str
    folder: Path
    log: Path
    probe: Callable[[int], None]
    port: int | None = None
    port_setting: str = ""
    env: Mapping[str, str] = field(default_factory=dict)
    prepare: Callable[[], None] | None = None


@dataclass(frozen=True, slots=True)
class Identity:
    """A process for good: no other one, later or after a reboot, equals it."""

    pid: int
    birth: str

    @classmethod
    def of(cls, pid: int) -> "Identity | None":
        """Identify a living process; None when it is gone or only waits to be reaped."""
        try:
            stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
            boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        except OSError:
            return None
        # Fields are counted after the name in parentheses, which may hold spaces: proc(5).
        fields = stat.rpartition(")")[2].split()
        state, start_ticks = fields[0], fields[19]
        return None if state in "ZX" else cls(pid, f"{boot}/{start_ticks}")

    def is_alive(self) -> bool:
        """Tell whether this very process still runs."""
        return Identity.of(self.pid) == self

    def send(self, number: int) -> bool:
        """Send a signal to this very process; False when it is gone."""
        try:
            descriptor = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return False
        try:
            # Checked after the pidfd is open: from here on the number can't change its owner.
            if not self.is_alive():
                return False
            signal.pidfd_send_signal(descriptor, number)
        except ProcessLookupError:
            return False
        finally:
            os.close(descriptor)
        return True


def program(name: str, *alternatives: str) -> str:
    """Return the path of an installed program; StackError says how to install it."""
    path = os.pathsep.join([os.environ.get("PATH", ""), *SERVER_FOLDERS])
    for candidate in (name, *alternatives):
        found = shutil.which(candidate, path=path)
        if found is not None:
            return found
    raise StackError(f"{name} is not installed: run `make setup`.")


def spawn(spec: Spec) -> subprocess.Popen[bytes]:
    """Start a process in a session of its own, its output appended to its log."""
    spec.folder.mkdir(parents=True, exist_ok=True)
    spec.log.parent.mkdir(parents=True, exist_ok=True)
    if spec.log.exists() and spec.log.stat().st_size > LOG_LIMIT_BYTES:
        spec.log.replace(spec.log.with_suffix(".old.log"))
    with spec.log.open("ab") as log:
        return subprocess.Popen(
            spec.argv,
            executable=spec.executable,
            cwd=spec.folder,
            env={**os.environ, **spec.env},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def terminate(identity: Identity, timeout_seconds: float) -> bool:
    """Ask a process to end, and kill it and its workers after the timeout; False if it had to."""
    if not identity.send(signal.SIGTERM) or wait_gone(identity, timeout_seconds):
        return True
    kill(identity)
    return False


def kill(identity: Identity) -> None:
    """Kill a process and the workers it forked (its session), without any warning."""
    if identity.is_alive():
        # It leads a process group: while a member lives, the kernel gives its number to nobody.
        with suppress(ProcessLookupError):
            os.killpg(identity.pid, signal.SIGKILL)
    wait_gone(identity, KILL_WAIT_SECONDS)


def wait_gone(identity: Identity, timeout_seconds: float) -> bool:
    """Wait until a process has ended; False when it has not in time."""
    deadline = time.monotonic() + timeout_seconds
    while identity.is_alive():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def tail(log: Path) -> str:
    """Return the last lines of a log."""
    try:
        with log.open(encoding="utf-8", errors="replace") as lines:
            return "".join(deque(lines, maxlen=TAIL_LINES)).rstrip()
    except OSError:
        return ""
