"""Print of requirements.lock what runs: not what only `dev` needs. For the image; standard library.

The lock says of each package via whom it is there. So what runs is what pyproject.toml names, and
what comes via these: the same versions and hashes, with no second lock that could differ.
"""

import re
import sys
import tomllib
from pathlib import Path

_NAME = re.compile(r"[A-Za-z0-9._-]+")
_VIA = re.compile(r"^    #(?: via|  ) +([A-Za-z0-9._-]+)(?: |$)", re.MULTILINE)


def closure(lock: str, wanted: set[str]) -> list[str]:
    """Return the lock's entries of these packages and of all that comes via them, in order."""
    entries = [entry for entry in re.split(r"^(?=[a-z0-9])", lock, flags=re.MULTILINE) if entry]
    vias = {_name(entry): set(_VIA.findall(entry)) for entry in entries}
    missing = wanted - vias.keys()
    if missing:
        raise ValueError(f"requirements.lock lacks {', '.join(sorted(missing))}: run `make lock`")
    found = set(wanted)
    while more := {name for name, via in vias.items() if via & found} - found:
        found |= more
    return [entry for entry in entries if _name(entry) in found]


def _name(requirement: str) -> str:
    match = _NAME.match(requirement)
    if match is None:
        raise ValueError(f"not a requirement: {requirement[:40]!r}")
    return re.sub(r"[-_.]+", "-", match[0]).lower()


def main() -> None:
    """Write to standard output."""
    root = Path(__file__).resolve().parent.parent
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = {_name(requirement) for requirement in project["dependencies"]}
    lock = (root / "requirements.lock").read_text(encoding="utf-8")
    sys.stdout.write("".join(closure(lock, wanted)))


if __name__ == "__main__":
    main()
