"""`python -m bench <command>`: what `make bench` and its relatives run."""

import argparse
import importlib
import sys
from collections.abc import Sequence

COMMANDS = {
    "run": "every scenario, the floors beside it, and the proof of the books",
    "report": "the tables of a file of results",
    "rest": "the same transfers straight to the wallet, through Envoy, and as JSON",
    "curve": "latency against offered load, to the knee",
    "soak": "minutes of a steady load",
    "ingest": "how fast the ledger takes in what it has missed",
    "compare": "two commits side by side",
    "profile": "what the processes spend their time on",
    "scale": "a nearly empty suite against one with millions of transactions",
    "count": "instructions of a transfer by stage",
}
"""Each is a module with `add_arguments(parser)` and `main(options) -> int`."""


def main(arguments: Sequence[str]) -> int:
    """Load the command that is asked for, and only that, and run it."""
    told = "\n".join(f"  {name:8} {about}" for name, about in COMMANDS.items())
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description=f"Measure the suite.\n\n{told}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("command", choices=COMMANDS, metavar="command")
    command = parser.parse_args(arguments[:1]).command
    module = importlib.import_module(f"bench.{command}")
    own = argparse.ArgumentParser(
        prog=f"python -m bench {command}",
        description=module.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    module.add_arguments(own)
    code: int = module.main(own.parse_args(arguments[1:]))
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
