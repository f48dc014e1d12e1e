"""Run ghz, in a closed loop or an open one, and read what it measured.

Its own CPU time is that between its first call and its last answer: to read the calls before and to
write every latency afterwards costs it as much again, when nobody is measured.
"""

import itertools
import json
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from bench.load import Load
from bench.machine import cpu_seconds
from walletkit.rpc.bearer import AUTHORIZATION

GHZ = Path(__file__).resolve().parents[1] / ".tools/bin/ghz"
PROTOSET = Path(__file__).resolve().parents[1] / "gen/guilder.binpb"
DEADLINE_MARGIN_S = 120.0
"""How much longer than its calls ghz may take: it reads them before, and reports afterwards."""
_SAMPLE_S = 0.02
_NANOSECONDS = 1e9
_NANOSECONDS_A_MS = 1e6
_OK = "OK"
_SHOWN_CHARACTERS = 2_000


class GhzError(Exception):
    """ghz could not make its calls; the message is its own."""


class Ghz:
    """One process of ghz, from its start to its figures."""

    def __init__(
        self,
        address: str,
        method: str,
        data: Path,
        *,
        concurrency: int,
        seconds: float,
        connections: int = 1,
        offered: float | None = None,
        token: str | None = None,
    ) -> None:
        """Start it. With `offered` so many calls begin a second, whether others end or not.

        What has a token is asked for no protos: Envoy passes no reflection on.
        """
        self.seconds = seconds
        self._cpu: list[tuple[float, float]] = []
        self._out = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115  # see __exit__
        command = [str(GHZ), "--insecure", "--disable-template-data", "--format=json"]
        command += [f"--call={method}", f"--binary-file={data}", f"--duration={seconds}s"]
        command += ["--duration-stop=wait", f"--concurrency={concurrency}"]
        command += [f"--connections={min(connections, concurrency)}"]
        if offered is not None:
            command += ["--async", f"--rps={round(offered)}"]
        if token is not None:
            command += [f"--protoset={PROTOSET}", "--disable-template-functions"]
            command.append(f"--metadata={json.dumps({AUTHORIZATION: f'Bearer {token}'})}")
        self._process = subprocess.Popen([*command, address], stdout=self._out, stderr=self._out)

    def __enter__(self) -> Self:
        """Return itself; leaving the block ends the process, whatever happened in it."""
        return self

    def __exit__(self, *_error: object) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()
        self._out.close()

    def runs(self) -> bool:
        """Tell whether it still works, and note the CPU time that it has used so far."""
        if self._process.poll() is not None:
            return False
        if (used := cpu_seconds(self._process.pid)) is not None:
            self._cpu.append((time.time(), used))
        return True

    def interrupt(self) -> None:
        """Have it begin no more calls; those under way end, and are measured as ever."""
        self._process.send_signal(signal.SIGINT)

    def load(self) -> Load:
        """Return what it measured, once it has ended. Raise `GhzError` when it could not call."""
        self._out.seek(0)
        text = self._out.read()
        if self._process.returncode != 0:
            raise GhzError(text.strip()[-_SHOWN_CHARACTERS:])
        return read_report(json.loads(text), self._cpu)


def finish(*running: Ghz) -> list[Load]:
    """Wait until all have made their calls. Raise `GhzError` when one could not."""
    deadline = time.monotonic() + max(one.seconds for one in running) + DEADLINE_MARGIN_S
    while [one for one in running if one.runs()]:
        if time.monotonic() > deadline:
            raise GhzError("ghz did not end in time")
        time.sleep(_SAMPLE_S)
    return [one.load() for one in running]


def read_report(report: dict[str, Any], cpu: Sequence[tuple[float, float]]) -> Load:
    """Read ghz's report. `cpu` has its CPU time so far, by the time of day in seconds."""
    details = report["details"] or []
    if not details:
        raise GhzError("ghz made no call")
    seconds = report["total"] / _NANOSECONDS
    ended = datetime.fromisoformat(details[-1]["timestamp"]).timestamp()
    return Load(
        seconds=seconds,
        calls=report["count"],
        movements=report["statusCodeDistribution"].get(_OK, 0),
        latencies_ms=[d["latency"] / _NANOSECONDS_A_MS for d in details if d["status"] == _OK],
        errors={
            code: count for code, count in report["statusCodeDistribution"].items() if code != _OK
        },
        cpu_seconds=used_at(cpu, ended) - used_at(cpu, ended - seconds),
        ended_at=ended,
    )


def used_at(samples: Sequence[tuple[float, float]], moment: float) -> float:
    """Return what was used up to a moment, on the line between the samples around it."""
    if not samples or moment <= samples[0][0]:
        return samples[0][1] if samples else 0.0
    for (before, low), (after, high) in itertools.pairwise(samples):
        if moment <= after:
            return low + (high - low) * (moment - before) / (after - before)
    return samples[-1][1]
