"""The state file of a suite: which processes were started, by identity. Survives the runner."""

import fcntl
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from walletkit.stack.errors import StackError
from walletkit.stack.process import POLL_SECONDS, Identity

STATE_FILE = "state.json"
LOCK_FILE = "lock"


@dataclass(frozen=True, slots=True)
class Entry:
    """A process as it was started; `started_at` in Unix seconds."""

    pid: int
    birth: str
    started_at: float

    @property
    def identity(self) -> Identity:
        """Return which process this is."""
        return Identity(self.pid, self.birth)


class State:
    """Entries by process name, read and written whole."""

    def __init__(self, run_dir: Path) -> None:
        """Keep the state in this folder."""
        self._run_dir = run_dir

    def load(self) -> dict[str, Entry]:
        """Read all entries; none when nothing was ever started."""
        try:
            text = (self._run_dir / STATE_FILE).read_text(encoding="utf-8")
        except FileNotFoundError:
            return {}
        return {name: Entry(**entry) for name, entry in json.loads(text).items()}

    def put(self, name: str, identity: Identity) -> None:
        """Note a started process at once, so that a crash of the runner loses none."""
        entry = Entry(identity.pid, identity.birth, time.time())
        self._save({**self.load(), name: entry})

    def remove(self, name: str) -> None:
        """Forget a process that was stopped on purpose."""
        entries = self.load()
        if entries.pop(name, None) is not None:
            self._save(entries)

    @contextmanager
    def locked(self, timeout_seconds: float) -> Iterator[None]:
        """Keep other runners of the same folder out; StackError when one stays too long."""
        self._run_dir.mkdir(parents=True, exist_ok=True)
        deadline = time.monotonic() + timeout_seconds
        with (self._run_dir / LOCK_FILE).open("w", encoding="ascii") as lock:
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > deadline:
                        raise StackError(
                            f"Another command is still at work on {self._run_dir}."
                        ) from None
                time.sleep(POLL_SECONDS)
            yield

    def _save(self, entries: dict[str, Entry]) -> None:
        """Replace the file in one step: a reader sees the old or the new one."""
        path = self._run_dir / STATE_FILE
        partial = path.with_suffix(".partial")
        content = {name: asdict(entry) for name, entry in entries.items()}
        partial.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
        partial.replace(path)
