"""What runs in production needs nothing that only development installs."""

import re
import subprocess
import sys
from importlib.metadata import distribution, packages_distributions

from packaging.requirements import Requirement

from tests.style.test_tidy import modules

PRODUCT = "guilder"
FOLDERS = ("wallet", "ledger", "notify", "edge", "walletkit", "guilder")
IMPORT_S = 60
# A name that stands for None in `sys.modules` can't be imported.
PROGRAM = """
import importlib, sys
blocked, wanted = (names.split(",") for names in sys.argv[1:])
sys.modules.update(dict.fromkeys(blocked))
for name in wanted:
    importlib.import_module(name)
"""


def normal(name: str) -> str:
    """Return a distribution's name as PEP 503 compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def applies(requirement: Requirement, extras: frozenset[str]) -> bool:
    """Tell whether a requirement holds here, with these extras of who has it."""
    marker = requirement.marker
    return marker is None or any(marker.evaluate({"extra": extra}) for extra in extras)


def needed() -> set[str]:
    """Return the distributions that the product requires without its extras, and theirs."""
    found: set[str] = set()
    waiting = [(PRODUCT, frozenset({""}))]
    while waiting:
        name, extras = waiting.pop()
        found.add(normal(name))
        for text in distribution(name).requires or []:
            requirement = Requirement(text)
            if normal(requirement.name) in found or not applies(requirement, extras):
                continue
            waiting.append((requirement.name, frozenset({"", *requirement.extras})))
    return found


def test_all_modules_can_be_imported_without_what_is_for_development() -> None:
    """Migrations, services, relay, front, command line and client."""
    kept = needed()
    blocked = {
        package
        for package, distributions in packages_distributions().items()
        if not {normal(name) for name in distributions} & kept
    }
    assert {"pytest", "mypy", "hypothesis"} <= blocked
    wanted = [name for name in modules() if name.partition(".")[0] in FOLDERS]
    assert len(wanted) > 200
    done = subprocess.run(
        [sys.executable, "-P", "-c", PROGRAM, ",".join(sorted(blocked)), ",".join(wanted)],
        capture_output=True,
        text=True,
        timeout=IMPORT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
