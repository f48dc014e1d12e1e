"""Look up the known weaknesses of every package of requirements.lock: `make audit`, by pip-audit.

pip-audit passes over packages that the advisory service does not tell of, and calls that clean.
Here it is not: exit code 0 says that each package was looked up and none has an advisory, 1 names
those that have one, 2 says that packages could not be looked up.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

LOCK = Path("requirements.lock")
TIMEOUT_S = 600.0
"""Each package is asked for by itself."""
SERVICE_TIMEOUT_S = 15
SHOWN = 10
"""Packages that are named of those that were not looked up."""
_LAST_WORDS = 300


def main() -> int:
    """Ask, and tell what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--service", default="pypi", choices=["pypi", "osv", "esms"])
    service = parser.parse_args().service
    command = [str(Path(sys.executable).parent / "pip-audit"), "--requirement", str(LOCK)]
    # All is pinned with its hashes: nothing has to be resolved, or downloaded.
    command += ["--disable-pip", "--require-hashes", "--progress-spinner=off", "--format=json"]
    command += [f"--vulnerability-service={service}", f"--timeout={SERVICE_TIMEOUT_S}"]
    try:
        done = subprocess.run(  # noqa: S603  # a fixed program
            command, capture_output=True, text=True, check=False, timeout=TIMEOUT_S
        )
    except subprocess.TimeoutExpired:
        code, told = 2, f"{service} did not answer for all packages in {TIMEOUT_S:.0f} s"
    else:
        try:
            code, told = judge(json.loads(done.stdout)["dependencies"])
        except (ValueError, KeyError):
            last = (done.stderr.strip().splitlines() or ["no answer"])[-1][:_LAST_WORDS]
            code, told = 2, f"{service} does not answer, so nothing was looked up: {last}"
    sys.stdout.write(f"audit: {told}\n")
    return code


def judge(packages: list[dict[str, Any]]) -> tuple[int, str]:
    """Return the exit code, and what to tell, of pip-audit's list of packages."""
    found = [
        f"{one['name']} {one['version']}: {weakness['id']}"
        f", mended in {' or '.join(weakness['fix_versions']) or 'no version yet'}"
        for one in packages
        for weakness in one.get("vulns", [])
    ]
    unknown = [one["name"] for one in packages if "skip_reason" in one]
    lines = found
    if unknown or not packages:
        more = f" and {len(unknown) - SHOWN} more" if len(unknown) > SHOWN else ""
        named = ", ".join(unknown[:SHOWN])
        lines.append(
            f"{len(unknown)} of {len(packages)} packages could not be looked up, so nothing is"
            f" known of them: {named}{more}"
        )
        return 2, "\n".join(lines)
    if found:
        return 1, "\n".join(lines)
    return 0, f"{len(packages)} packages looked up, no advisory on any"


if __name__ == "__main__":
    sys.exit(main())
