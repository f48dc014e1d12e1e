"""Run a command's coroutine against the suite, and turn what it meets into an exit code."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import IntEnum

import typer

from guilder.cli.access import NO_ACCESS, Access
from guilder.cli.render import show_error
from guilder.client import (
    Addresses,
    CallPolicy,
    Guilder,
    GuilderError,
    InvalidArgumentError,
    UnavailableError,
)
from guilder.client.calls import PROOF_TIMEOUT_SECONDS

EXIT_CODES = (
    "Exit codes: 0 done · 1 a difference, a decline or another error · 2 a malformed request · "
    "3 a service is unavailable: run it again, with the same key · 130 interrupted."
)


class ExitCode(IntEnum):
    """What the shell gets. The same table stands in every --help."""

    OK = 0
    FAILED = 1
    USAGE = 2
    UNAVAILABLE = 3
    INTERRUPTED = 130


@dataclass(frozen=True, slots=True)
class Session:
    """What the options before the command say."""

    addresses: Addresses
    timeout_seconds: float
    access: Access = NO_ACCESS

    def open(self, max_attempts: int, proof_timeout_seconds: float) -> Guilder:
        """Return a client of the suite; inside a running loop only."""
        policy = CallPolicy(timeout_seconds=self.timeout_seconds, max_attempts=max_attempts)
        return Guilder(
            self.addresses,
            policy,
            proof_timeout_seconds,
            self.access.token,
            api_key=self.access.api_key,
            tls=self.access.tls,
        )


Work = Callable[[Guilder], Awaitable[ExitCode | None]]

MAX_ATTEMPTS = 5
"""Of each call of a plain command: it gives up within a few seconds when nothing listens."""


def run(
    ctx: typer.Context,
    work: Work,
    *,
    as_json: bool = False,
    key: str | None = None,
    max_attempts: int = MAX_ATTEMPTS,
    proof_timeout_seconds: float = PROOF_TIMEOUT_SECONDS,
) -> None:
    """Run ``work`` and leave with its exit code; an error is shown with reason, fields and hint.

    ``key`` is the idempotency key in use: shown where the outcome is unknown.
    """
    session = ctx.find_object(Session)
    assert session is not None

    async def within() -> ExitCode | None:
        async with session.open(max_attempts, proof_timeout_seconds) as guilder:
            return await work(guilder)

    try:
        code = asyncio.run(within())
    except GuilderError as error:
        show_error(error, as_json=as_json, key=key, addresses=session.addresses)
        raise typer.Exit(exit_code_of(error)) from None
    except KeyboardInterrupt:
        raise typer.Exit(ExitCode.INTERRUPTED) from None
    if code:
        raise typer.Exit(code)


def exit_code_of(error: GuilderError) -> ExitCode:
    """Return the exit code that an error leads to."""
    if isinstance(error, UnavailableError):
        return ExitCode.UNAVAILABLE
    if isinstance(error, InvalidArgumentError):
        return ExitCode.USAGE
    return ExitCode.FAILED
