"""Serve the programs that the guide uses: the command line, and a stand-in for grpcurl."""

import sys

from guilder.cli.app import app
from tests.cli import fork_server, grpcurl


def guilder(arguments: list[str]) -> int:
    """Run the command line as its entry point does."""
    app(arguments, prog_name="guilder")
    return 0


if __name__ == "__main__":
    fork_server.serve(sys.argv[1], {"guilder": guilder, "grpcurl": grpcurl.main})
