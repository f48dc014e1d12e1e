"""`python -m walletkit.stack.keys FOLDER`: make what is missing of a development suite's keys.

For a suite that others start, as Docker does: the same files that `make up` makes for itself.
"""

import sys
from pathlib import Path

from walletkit.command import USAGE_ERROR
from walletkit.stack import edge, issuer


def main() -> int:
    """Make them."""
    if len(sys.argv) != 2:  # noqa: PLR2004  # the program and one argument
        sys.stderr.write("usage: python -m walletkit.stack.keys FOLDER\n")
        return USAGE_ERROR
    folder = Path(sys.argv[1])
    issuer.made(folder)
    edge.make_files(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
