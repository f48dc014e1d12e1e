"""A load generator of our own in a process of its own, from its start to its figures.

It makes its calls ahead, says that it is ready, waits for the word, and prints its `Load` as JSON.
"""

import json
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import Self

from bench.load import Load

DEADLINE_MARGIN_S = 180.0
"""How much longer than its calls the client may take: it prepares before and reads afterwards."""
READY, GO = "ready\n", "go\n"
"""What both processes say to each other."""


class ClientError(Exception):
    """The client could not do its part."""


class Child:
    """The process that sends. Use it as a context."""

    def __init__(self, module: str, arguments: Sequence[str], seconds: float) -> None:
        """Start a module with these arguments, to make calls for so long."""
        command = [sys.executable, "-m", module, *arguments]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        # A client that hangs would be waited for without an end.
        self._guard = threading.Timer(seconds + DEADLINE_MARGIN_S, self._process.kill)
        self._guard.start()

    def __enter__(self) -> Self:
        """Return itself; leaving the block ends the process, whatever happened in it."""
        return self

    def __exit__(self, *_error: object) -> None:
        """End the process."""
        self._guard.cancel()
        self._process.kill()
        self._process.communicate()

    def prepare(self, told: object) -> None:
        """Tell it what it needs, as JSON; it makes its calls and connects. Raise `ClientError`."""
        self._tell(json.dumps(told) + "\n")
        if (line := self._line()) != READY:
            raise ClientError(f"the client said {line!r}, not {READY!r}")

    def send(self) -> Load:
        """Let it send, and return what it measured."""
        self._tell(GO)
        return Load(**json.loads(self._line()))

    def _tell(self, line: str) -> None:
        assert self._process.stdin is not None, "it was asked for"
        with suppress(BrokenPipeError):  # the missing answer tells
            self._process.stdin.write(line)
            self._process.stdin.flush()

    def _line(self) -> str:
        assert self._process.stdout is not None, "it was asked for"
        if not (line := self._process.stdout.readline()):
            raise ClientError("the client has ended; see its last words above")
        return line


def await_the_word() -> None:
    """Say in the child that it is ready, and wait for the word. Raise ``SystemExit`` without it."""
    sys.stdout.write(READY)
    sys.stdout.flush()
    if sys.stdin.readline() != GO:
        raise SystemExit("nobody wants the figures any more")


def tell(load: Load) -> None:
    """Print in the child what it measured."""
    sys.stdout.write(json.dumps(asdict(load)) + "\n")
