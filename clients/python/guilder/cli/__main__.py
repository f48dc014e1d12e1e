"""Run the command line: `guilder`, or `python -m guilder.cli`."""

import sys

INTERRUPTED = 130


def main() -> None:
    """Run the command that the arguments name; leave with its exit code."""
    try:
        # Loading takes a moment too, and Ctrl-C then deserves no traceback either.
        from guilder.cli.app import app  # noqa: PLC0415
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    app(prog_name="guilder")


if __name__ == "__main__":
    main()
