"""A commit in a clone of its own, with its own venv, and its suite on ports of its own.

All that belongs to the commit is done by the commit's own code: setup, start, stop, verification.
"""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.scenarios import Scenario
from walletkit.stack import Stack, StackSettings

ROOT = Path(__file__).resolve().parents[1]
NEEDED = ("tools/setup.sh", "libs/walletkit/stack/__main__.py", "clients/python/guilder/cli")
"""What a commit must have, to be set up, started and verified."""
SETUP_TIMEOUT_S = 1_200
START_TIMEOUT_S = 600
VERIFY_TIMEOUT_S = 1_200
GIT_TIMEOUT_S = 120

_NOT_INHERITED = ("MAKE", "MFLAGS", "GNUMAKE", "VIRTUAL_ENV", "PYTHON", "GIT_")
"""What the make around this, and the venv that it runs in, would tell the clone's own."""
_SHOWN_CHARACTERS = 2_000


class CheckoutError(Exception):
    """A commit can't be measured; the message says which, and why."""


def commit_of(name: str) -> str:
    """Return the hash of a commit."""
    try:
        return git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
    except CheckoutError:
        raise CheckoutError(f"{name!r} is no commit of this repository") from None


def present(*, dirty: bool) -> str:
    """Return the present commit; with `dirty` one that has what differs from it, too.

    Only files that git knows: new ones are in no commit before they are added.
    """
    if not git("status", "--porcelain"):
        return commit_of("HEAD")
    if not dirty:
        raise CheckoutError("the working tree differs from its commit: commit, or give --dirty")
    return git("stash", "create") or commit_of("HEAD")


def check(commit: str, scenarios: list[Scenario]) -> None:
    """Raise ``CheckoutError`` for a commit that can't be started, or lacks a scenario's RPC."""
    for path in NEEDED:
        if not git("ls-tree", "--name-only", commit, path):
            raise CheckoutError(f"{commit[:9]} can't be compared: it has no {path}")
    for scenario in scenarios:
        service, _, rpc = scenario.method.rpartition(".")[2].partition("/")
        try:
            git("grep", "--quiet", "-E", rf"\brpc {rpc}\(", commit, "--", "protos")
        except CheckoutError:
            text = f"{commit[:9]} has no {service}/{rpc}, which scenario {scenario.name} calls"
            raise CheckoutError(text) from None


def git(*arguments: str, folder: Path | None = None) -> str:
    """Run git, in this repository by default, and return what it says.

    Raise ``CheckoutError`` when it fails.
    """
    done = subprocess.run(
        ("git", "-C", str(folder or ROOT), *arguments),  # noqa: S607  # whichever git made this clone
        check=False,
        capture_output=True,
        text=True,
        timeout=GIT_TIMEOUT_S,
    )
    if done.returncode != 0:
        raise CheckoutError(f"git {arguments[0]} failed: {done.stderr.strip()}")
    return done.stdout.strip()


@dataclass(frozen=True, slots=True)
class Checkout:
    """One of the commits that are compared."""

    name: str
    commit: str
    folder: Path
    stack: Stack
    """Its suite, as the present code sees it."""

    @classmethod
    def place(cls, name: str, commit: str, folder: Path) -> "Checkout":
        """Clone the commit, or move an earlier clone to it, and choose ports that are free now."""
        if not (folder / ".git").exists():
            folder.parent.mkdir(parents=True, exist_ok=True)
            # Shared: it finds every object of this repository, also one that no branch has.
            git("clone", "--quiet", "--shared", "--no-checkout", str(ROOT), str(folder))
        git("checkout", "--quiet", "--force", "--detach", commit, folder=folder)
        git("clean", "--quiet", "--force", "-d", folder=folder)
        ports = StackSettings.chosen_ports(len(StackSettings().shard_ports))
        settings = StackSettings(run_dir=folder / ".run", **ports)
        return cls(name, commit, folder, Stack(settings))

    def __str__(self) -> str:
        """Name it to a person."""
        return f"{self.name} ({self.commit[:9]})"

    @contextmanager
    def running(self) -> Iterator[None]:
        """Set it up and run its suite, from empty databases, for as long as the block lasts."""
        self._run("setup", SETUP_TIMEOUT_S, "make", "setup")
        # Of a comparison that was killed.
        self._stop()
        shutil.rmtree(self.stack.settings.run_dir, ignore_errors=True)
        try:
            self._run("up", START_TIMEOUT_S, *self._runner, "up")
            yield
        finally:
            self._stop()

    def verify(self) -> bool:
        """Tell whether its books hold, by its own `guilder verify`."""
        command = (str(self.folder / ".venv/bin/guilder"), "verify")
        done = self._start(VERIFY_TIMEOUT_S, *command)
        return done.returncode == 0

    @property
    def environment(self) -> dict[str, str]:
        """Return the variables of its suite; sizes are those of the environment."""
        settings = self.stack.settings
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(_NOT_INHERITED)
        }
        services = ("wallet", "ledger", "notify", "edge")
        return {
            **kept,
            **{
                f"GUILDER_{port.upper()}": str(getattr(settings, port))
                for port in settings.port_names()
            },
            **{f"GUILDER_{name.upper()}_ADDRESS": self.stack.address(name) for name in services},
            "GUILDER_RUN_DIR": str(settings.run_dir),
            "GUILDER_SHARD_PORTS": ",".join(map(str, settings.shard_ports)),
        }

    @property
    def _runner(self) -> tuple[str, ...]:
        return (str(self.folder / ".venv/bin/python"), "-m", "walletkit.stack")

    def _stop(self) -> None:
        """Stop its suite and delete its data, not its logs. Nothing interrupts this."""
        numbers = (signal.SIGINT, signal.SIGTERM)
        before = [signal.signal(number, signal.SIG_IGN) for number in numbers]
        try:
            if self.stack.settings.run_dir.exists():
                self._run("down", START_TIMEOUT_S, *self._runner, "down")
            for name in self.stack.databases:
                shutil.rmtree(self.stack.settings.run_dir / name, ignore_errors=True)
        finally:
            for number, handler in zip(numbers, before, strict=True):
                signal.signal(number, handler)

    def _run(self, what: str, timeout_s: float, *command: str) -> None:
        done = self._start(timeout_s, *command)
        if done.returncode != 0:
            text = (done.stdout + done.stderr).strip()[-_SHOWN_CHARACTERS:]
            raise CheckoutError(f"{self}: {what} failed in {self.folder}:\n{text}")

    def _start(self, timeout_s: float, *command: str) -> subprocess.CompletedProcess[str]:
        try:
            return subprocess.run(
                command,
                cwd=self.folder,
                env=self.environment,
                check=False,
                capture_output=True,
                text=True,
                timeout=timeout_s,
            )
        except subprocess.TimeoutExpired as error:
            text = f"{self}: {' '.join(command)} was not done after {timeout_s:.0f} s"
            raise CheckoutError(text) from error
