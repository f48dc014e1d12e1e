"""`python -m walletkit.front`: write Envoy's configuration, made of the environment, as JSON.

`--into FOLDER` writes it there as `envoy.json`, beside every file of ours that it names. Exit 2
says which setting or file is wrong.
"""

import argparse
import json
import sys
from pathlib import Path

from walletkit.command import USAGE_ERROR
from walletkit.front import folder
from walletkit.front.bootstrap import bootstrap
from walletkit.front.settings import load
from walletkit.settings import SettingsError


def main() -> int:
    """Write it to standard output, or into a folder."""
    parser = argparse.ArgumentParser(prog="walletkit.front", description=__doc__)
    parser.add_argument("--into", type=Path, metavar="FOLDER")
    into: Path | None = parser.parse_args().into
    try:
        if into is not None:
            folder.write(load(), into)
            return 0
        made = bootstrap(load())
    except (OSError, SettingsError, ValueError) as error:
        sys.stderr.write(f"{error}\n")
        return USAGE_ERROR
    sys.stdout.write(json.dumps(made, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
