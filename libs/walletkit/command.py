"""Read a service's command line: ``python -m <service> <command>``."""

import argparse
import sys
from collections.abc import Callable, Mapping
from typing import TypeVar

from walletkit.settings import SettingsError

USAGE_ERROR = 2
_Settings = TypeVar("_Settings")


def choose(
    program: str, about: str | None, commands: Mapping[str, str], load: Callable[[], _Settings]
) -> tuple[str, _Settings]:
    """Return the command given and the settings; exit with 2 when either is not right."""
    parser = argparse.ArgumentParser(prog=program, description=about)
    choices = parser.add_subparsers(dest="command", required=True)
    for name, meaning in commands.items():
        choices.add_parser(name, help=meaning)
    command: str = parser.parse_args().command
    try:
        return command, load()
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(USAGE_ERROR)
