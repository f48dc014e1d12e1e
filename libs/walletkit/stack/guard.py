"""`python -m walletkit.stack.guard RUN_DIR`: end a suite when the program that started it is gone.

Its standard input is a pipe from that program: the end of file comes however the program ends.
"""

import sys
from pathlib import Path

from walletkit.stack import process
from walletkit.stack.state import State


def main(run_dir: Path) -> None:
    """Wait for the end of the input, then kill what the state file still lists."""
    sys.stdin.buffer.read()
    for entry in State(run_dir).load().values():
        process.kill(entry.identity)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
