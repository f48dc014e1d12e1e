"""Run the command line: `guilder`, or `python -m guilder.cli`."""

from guilder.cli.app import app


def main() -> None:
    """Run the command that the arguments name; leave with its exit code."""
    app(prog_name="guilder")


if __name__ == "__main__":
    main()
