"""The suite as one object: start, stop, kill and watch its processes by name.

Blocking: a test with an event loop calls it through `asyncio.to_thread`. Every wait is bounded by
the settings.
"""

import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

from walletkit.stack import databases, edge, envoy, issuer, process, services
from walletkit.stack.errors import StackError
from walletkit.stack.issuer import Issuer
from walletkit.stack.probes import NotReadyError, run_sql
from walletkit.stack.process import Identity, Spec
from walletkit.stack.runner import Runner
from walletkit.stack.settings import LOOPBACK, StackSettings
from walletkit.stack.state import State

GUARD_TIMEOUT_SECONDS = 30


@dataclass(frozen=True, slots=True)
class ProcessStatus:
    """What one process does now; `pid` and `uptime_seconds` only while it runs."""

    name: str
    state: Literal["ready", "not ready", "died", "stopped"]
    pid: int | None
    port: int | None
    uptime_seconds: float | None
    log: Path


class Stack:
    """The processes of one suite, all in one folder.

    They outlive this object, so that `make up` can return. With `tied` they end with this program,
    however it ends: tests leave nothing behind.
    """

    def __init__(
        self,
        settings: StackSettings,
        *,
        tied: bool = False,
        report: Callable[[str], None] = lambda _line: None,
    ) -> None:
        """Describe the suite; nothing is started yet. `report` gets a line for each step."""
        self.settings = settings
        database_specs, service_specs = databases.specs(settings), services.specs(settings)
        front_specs = envoy.specs(settings)
        self.databases = tuple(spec.name for spec in database_specs)
        self.services = tuple(spec.name for spec in service_specs)
        self.front = tuple(spec.name for spec in front_specs)
        self._specs = {spec.name: spec for spec in [*database_specs, *service_specs, *front_specs]}
        self._state = State(settings.run_dir)
        self._runner = Runner(settings, self._state, report)
        self._tied = tied
        self._guard: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """Return itself; leaving the block stops everything."""
        return self

    def __exit__(self, *_error: object) -> None:
        """Stop everything, whatever happened in the block."""
        self.stop()

    def up(self) -> list[str]:
        """Start all that does not run, schemas before services; return what was started.

        When something fails, stop what this call started and raise StackError.
        """
        started = self._start(tuple(self._specs), migrate=True)
        # What ran before may need a moment too, such as a service whose shard was just restarted.
        with self._locked():
            self._runner.wait_ready(tuple(self._specs.values()))
        return started

    def start(self, *names: str) -> list[str]:
        """Start these processes and wait until they answer; without migrations."""
        return self._start(names, migrate=False)

    def migrate(self) -> None:
        """Create the databases that are missing and bring every schema up to date."""
        with self._locked():
            self._runner.run_to_end(services.migrations(self.settings))

    def stop(self, *names: str) -> list[str]:
        """Stop these processes (all without names), services before databases; data stay."""
        with self._locked():
            return self._stop([self._spec(name) for name in names or self._specs])

    def kill(self, *names: str) -> None:
        """Kill these processes with SIGKILL and return when they are gone."""
        for name in names:
            if (identity := self.identity(name)) is not None:
                process.kill(identity)
                self._runner.reap(name)

    def restart(self, *names: str) -> None:
        """Stop these processes gracefully and start them again."""
        self.stop(*names)
        self.start(*names)

    def signal(self, name: str, number: int) -> None:
        """Send a signal to one process; StackError when it does not run."""
        identity = self.identity(name)
        if identity is None or not identity.send(number):
            raise StackError(f"{name} does not run.")

    def is_running(self, name: str) -> bool:
        """Tell whether a process of this suite is alive."""
        return self.identity(name) is not None

    def identity(self, name: str) -> Identity | None:
        """Return which process runs under a name; None when it is stopped or died."""
        return self._runner.identity(self._spec(name).name)

    def status(self) -> list[ProcessStatus]:
        """Tell of every process whether it runs and answers."""
        with ThreadPoolExecutor(max_workers=len(self._specs)) as pool:
            return list(pool.map(self._status, self._specs.values()))

    def execute(self, name: str, statement: str) -> str:
        """Run SQL on a database process (`shard-0`, `books`); return tab-separated rows."""
        port = self._spec(name).port
        assert port is not None, "every database has a port"
        return run_sql(port, statement)

    def metrics_url(self, name: str) -> str:
        """Return where a service, or the relay, answers Prometheus."""
        return f"http://{LOOPBACK}:{self.settings.metrics_port(name)}/metrics"

    def shard_url(self, number: int, database: str) -> str:
        """Return the URL of a database on a shard."""
        return services.database_url(self.settings.shard_ports[number], database)

    def books_url(self, database: str) -> str:
        """Return the URL of a database on the server that ledger and notify share."""
        return services.database_url(self.settings.books_port, database)

    @property
    def redis_url(self) -> str:
        """Return the URL of Redis."""
        return services.redis_url(self.settings)

    @property
    def issuer(self) -> Issuer:
        """Return the issuer of this suite's tokens; its key is made when it is missing."""
        return issuer.made(self.settings.run_dir)

    @property
    def rest_url(self) -> str:
        """Return where REST is spoken."""
        return envoy.url(self.settings)

    @property
    def environment(self) -> dict[str, str]:
        """Return the variables of all services of this suite."""
        return services.environment(self.settings)

    def address(self, name: str) -> str:
        """Return host:port of a process that listens."""
        return f"{LOOPBACK}:{self._spec(name).port}"

    def log(self, name: str) -> Path:
        """Return the log of a process."""
        return self._spec(name).log

    def _spec(self, name: str) -> Spec:
        if name not in self._specs:
            raise StackError(f"There is no process {name!r}, only {', '.join(self._specs)}.")
        return self._specs[name]

    def _locked(self) -> AbstractContextManager[None]:
        return self._state.locked(self.settings.start_timeout_seconds)

    def _start(self, names: Sequence[str], *, migrate: bool) -> list[str]:
        with self._locked():
            specs = [spec for spec in map(self._spec, names) if not self.is_running(spec.name)]
            waiting = [spec for spec in specs if spec.name in self.services]
            self._runner.check_ports(specs)
            if waiting:
                issuer.made(self.settings.run_dir)
                edge.make_files(self.settings.run_dir)
            if self._tied and self._guard is None:
                self._guard = _start_guard(self.settings.run_dir)
            try:
                self._runner.start([spec for spec in specs if spec.name in self.databases])
                if waiting and migrate:
                    self._runner.run_to_end(services.migrations(self.settings))
                self._runner.start([spec for spec in waiting if spec.name != services.RELAY])
                self._runner.start([spec for spec in waiting if spec.name == services.RELAY])
                self._runner.start([spec for spec in specs if spec.name in self.front])
            except BaseException:
                # Also for Ctrl-C: half a suite would hold ports and answer for a whole one.
                self._stop(specs)
                raise
            return [spec.name for spec in specs]

    def _stop(self, specs: Sequence[Spec]) -> list[str]:
        """Stop what serves one by one, last started first; then the databases side by side."""
        stopped: list[str] = []
        for spec in reversed([spec for spec in specs if spec.name not in self.databases]):
            stopped += self._runner.stop([spec])
        stopped += self._runner.stop([spec for spec in specs if spec.name in self.databases])
        if self._guard is not None and not any(map(self.is_running, self._specs)):
            self._guard.communicate(timeout=GUARD_TIMEOUT_SECONDS)
            self._guard = None
        return stopped

    def _status(self, spec: Spec) -> ProcessStatus:
        entry = self._state.load().get(spec.name)
        if entry is None or not entry.identity.is_alive():
            state: Literal["stopped", "died"] = "stopped" if entry is None else "died"
            return ProcessStatus(spec.name, state, None, spec.port, None, spec.log)
        uptime = time.time() - entry.started_at
        try:
            spec.probe(entry.pid)
        except NotReadyError:
            return ProcessStatus(spec.name, "not ready", entry.pid, spec.port, uptime, spec.log)
        return ProcessStatus(spec.name, "ready", entry.pid, spec.port, uptime, spec.log)


def _start_guard(run_dir: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "walletkit.stack.guard", str(run_dir)],
        stdin=subprocess.PIPE,
        start_new_session=True,
    )
