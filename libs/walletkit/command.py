"""Read a service's command line, ``python -m <service> <command>``, and run what it says."""

import argparse
import asyncio
import os
import sys
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from typing import Any, TypeVar

import uvloop

from walletkit.auth.refusals import StartError
from walletkit.settings import SettingsError, TelemetrySettings
from walletkit.telemetry import exposition, loop_lag, tracing
from walletkit.telemetry.exporter import ExporterError, exporting

USAGE_ERROR = 2
_Settings = TypeVar("_Settings")


def choose(
    program: str, about: str | None, commands: Mapping[str, str], load: Callable[[], _Settings]
) -> tuple[str, _Settings]:
    """Return the command given and the settings; exit with 2 when either is not right."""
    parser, _ = parser_of(program, about, commands)
    command: str = parser.parse_args().command
    return command, settings_of(load)


def parser_of(
    program: str, about: str | None, commands: Mapping[str, str]
) -> tuple[argparse.ArgumentParser, dict[str, argparse.ArgumentParser]]:
    """Return a parser whose result has ``command``, and that of each command, for its options."""
    parser = argparse.ArgumentParser(prog=program, description=about)
    choices = parser.add_subparsers(dest="command", required=True)
    return parser, {
        name: choices.add_parser(name, help=meaning) for name, meaning in commands.items()
    }


def settings_of(load: Callable[[], _Settings]) -> _Settings:
    """Return the settings; exit with 2, and say which is wrong, when they are not right."""
    try:
        return load()
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(USAGE_ERROR)


def run(service: Coroutine[Any, Any, None], name: str, settings: TelemetrySettings) -> None:
    """Run a service to its end, serve its metrics and tell of its spans meanwhile.

    Exit with 1 when it must not start as it is set up.
    """
    let_threads_end_their_turn()
    try:
        with (
            exporting(settings.metrics_address, exposition.own(name)),
            tracing.telling(name, settings.trace_endpoint, settings.trace_ratio),
        ):
            uvloop.run(_measured(service))
    except (StartError, ExporterError) as error:
        service.close()
        sys.exit(f"refused: {error}")


def let_threads_end_their_turn() -> None:
    """Have no thread of this process interrupt one that works, of its own or another process.

    Each that wakes up would: gRPC's polling thread stops the event loop at every step of a call.
    Threads and processes that begin later inherit it: sched(7), SCHED_BATCH. It takes no privilege;
    where it is forbidden all the same, the service costs more CPU, and is as right.
    """
    with suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


async def _measured(service: Coroutine[Any, Any, None]) -> None:
    measuring = asyncio.create_task(loop_lag.measure(), name="loop-lag")
    try:
        await service
    finally:
        measuring.cancel()
