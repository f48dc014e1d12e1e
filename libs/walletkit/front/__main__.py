"""`python -m walletkit.front`: write Envoy's configuration, made of the environment, as JSON.

Exit 2 says which setting or file is wrong.
"""

import json
import sys

from walletkit.command import USAGE_ERROR
from walletkit.front.bootstrap import bootstrap
from walletkit.front.settings import load
from walletkit.settings import SettingsError


def main() -> int:
    """Write it to standard output."""
    try:
        made = bootstrap(load())
    except (OSError, SettingsError, ValueError) as error:
        sys.stderr.write(f"{error}\n")
        return USAGE_ERROR
    sys.stdout.write(json.dumps(made, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
