"""Start and stop processes and keep the state file true; knows nothing of what they do."""

import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed

from walletkit.stack import process
from walletkit.stack.errors import StackError
from walletkit.stack.probes import NotReadyError
from walletkit.stack.process import Identity, Spec
from walletkit.stack.settings import LOOPBACK, StackSettings, port_is_free
from walletkit.stack.state import State


class Runner:
    """Runs specs under one state file; the caller holds the state's lock."""

    def __init__(
        self, settings: StackSettings, state: State, report: Callable[[str], None]
    ) -> None:
        """Run with these bounds on waiting, and report one line for each step."""
        self._settings = settings
        self._state = state
        self._report = report
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._abandoned = threading.Event()

    def identity(self, name: str) -> Identity | None:
        """Return which process runs under a name; None when it is stopped or died."""
        entry = self._state.load().get(name)
        return entry.identity if entry is not None and entry.identity.is_alive() else None

    def check_ports(self, specs: Sequence[Spec]) -> None:
        """Refuse to start beside a program that already listens; say which setting helps."""
        for spec in specs:
            if spec.port is not None and not port_is_free(spec.port):
                message = (
                    f"Port {spec.port} of {spec.name} is taken by another program. "
                    f"End that program, or choose another port with {spec.port_setting}."
                )
                raise StackError(message)

    def start(self, specs: Sequence[Spec]) -> None:
        """Start processes side by side and wait until each is ready."""
        self._together(_prepare, specs)
        for spec in specs:
            self._spawn(spec)
        self._together(self._wait_started, specs)

    def wait_ready(self, specs: Sequence[Spec]) -> None:
        """Wait until processes that run already answer; StackError when one does not in time."""
        self._together(self._wait_answer, specs)

    def stop(self, specs: Sequence[Spec]) -> list[str]:
        """Stop processes side by side and return the names of those that ran."""
        if not specs:
            return []
        with ThreadPoolExecutor(max_workers=len(specs)) as pool:
            ran = list(pool.map(self._stop_one, specs))
        for spec in specs:
            self._state.remove(spec.name)
        return [spec.name for spec, was_running in zip(specs, ran, strict=True) if was_running]

    def run_to_end(self, specs: Sequence[Spec]) -> None:
        """Run commands that end by themselves, side by side; StackError when one fails."""
        self._together(self._run_one, specs)

    def _together(self, action: Callable[[Spec], object], specs: Sequence[Spec]) -> None:
        """Do this for all at once; the first failure, or Ctrl-C, ends the wait for the others."""
        if not specs:
            return
        self._abandoned.clear()
        with ThreadPoolExecutor(max_workers=len(specs)) as pool:
            try:
                for future in as_completed(pool.submit(action, spec) for spec in specs):
                    future.result()
            except BaseException:
                self._abandoned.set()
                raise

    def _run_one(self, spec: Spec) -> None:
        begin = time.monotonic()
        limit = self._settings.start_timeout_seconds
        with process.spawn(spec) as child:
            while (status := child.poll()) is None:
                late = time.monotonic() - begin > limit
                if late or self._abandoned.wait(process.POLL_SECONDS):
                    child.kill()
                    raise StackError(
                        _failure(spec, f"was ended after {limit} s" if late else "was ended")
                    )
        if status != 0:
            raise StackError(_failure(spec, f"failed with exit code {status}"))
        self._report(f"{spec.name:<15} done    {time.monotonic() - begin:.1f} s")

    def _spawn(self, spec: Spec) -> None:
        self.reap(spec.name)
        child = process.spawn(spec)
        identity = Identity.of(child.pid)
        if identity is None:
            raise StackError(_failure(spec, f"ended at once with exit code {child.wait()}"))
        self._children[spec.name] = child
        self._state.put(spec.name, identity)

    def _wait_started(self, spec: Spec) -> None:
        begin = time.monotonic()
        if self._wait_answer(spec):
            where = "" if spec.port is None else f"{LOOPBACK}:{spec.port}"
            took = time.monotonic() - begin
            self._report(f"{spec.name:<15} ready   {took:.1f} s  {where}".rstrip())

    def _wait_answer(self, spec: Spec) -> bool:
        """Probe until the process answers; False when another's failure made that pointless."""
        limit = self._settings.start_timeout_seconds
        deadline = time.monotonic() + limit
        while not self._abandoned.is_set():
            identity = self.identity(spec.name)
            if identity is None:
                raise StackError(_failure(spec, f"ended{self._exit_code(spec.name)}"))
            try:
                spec.probe(identity.pid)
            except NotReadyError as error:
                if time.monotonic() > deadline:
                    reason = f"is not ready after {limit} s ({error})"
                    raise StackError(_failure(spec, reason)) from error
            else:
                return True
            self._abandoned.wait(process.POLL_SECONDS)
        return False

    def _exit_code(self, name: str) -> str:
        """Word the exit code of a process that has ended; only its own starter can know it."""
        child = self._children.get(name)
        return "" if child is None else f" with exit code {child.wait(process.KILL_WAIT_SECONDS)}"

    def _stop_one(self, spec: Spec) -> bool:
        identity = self.identity(spec.name)
        if identity is not None:
            limit = self._settings.stop_timeout_seconds
            graceful = process.terminate(identity, limit)
            self._report(f"{spec.name:<15} {'stopped' if graceful else f'killed after {limit} s'}")
        self.reap(spec.name)
        return identity is not None

    def reap(self, name: str) -> None:
        """Take leave of a child that has ended; nothing to do for one of another runner.

        Only then are all its threads gone, and with them its port.
        """
        child = self._children.pop(name, None)
        if child is not None:
            child.wait(process.KILL_WAIT_SECONDS)


def _prepare(spec: Spec) -> None:
    if spec.prepare is not None:
        spec.prepare()


def _failure(spec: Spec, reason: str) -> str:
    """Word a failure: what, why, the end of its log, and where the rest is."""
    return f"{spec.name} {reason}. The last lines of {spec.log}:\n{process.tail(spec.log)}"
