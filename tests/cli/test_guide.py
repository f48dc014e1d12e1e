"""The guide's commands do what it says: they are pasted into a shell, from the top."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
GUIDE = ROOT / "docs" / "guide.md"
GUIDE_S = 240


def script() -> str:
    """Return the guide's blocks as one script that stops where the guide is wrong."""
    blocks = re.findall(r"```sh\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    pasted = "\n".join(blocks)
    # `! command` alone would not stop the script when the command succeeds.
    pasted = re.sub(
        r"^! (.*?)(?:\s+# ([A-Z_]+).*)?$", r"refused '\2' \1", pasted, flags=re.MULTILINE
    )
    return f"set -euo pipefail\n{REFUSED}\n{pasted}"


REFUSED = """refused() {
    local reason=$1 said; shift
    if said=$("$@" 2>&1); then echo "not refused: $*"; exit 9; fi
    case $said in *"$reason"*) ;; *) echo "$* was refused with: $said"; exit 9 ;; esac
}"""


@pytest.mark.timeout(GUIDE_S)
def test_the_guide_can_be_pasted(addresses: dict[str, str], tmp_path: Path) -> None:
    """Every command of the guide works, or is refused with the reason beside it."""
    shim = tmp_path / "grpcurl"
    shim.write_text(f'#!/bin/sh\nexec {sys.executable} {ROOT}/tests/cli/grpcurl.py "$@"\n')
    shim.chmod(0o755)
    # The guide puts the venv's folder first; the stand-in must come before an installed grpcurl.
    pasted = script().replace("PATH=$PWD", f"PATH={tmp_path}:$PWD")
    done = subprocess.run(
        ["bash", "-c", pasted],
        cwd=ROOT,
        env={**os.environ, **addresses, "TMPDIR": str(tmp_path), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=GUIDE_S,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    assert "Clean: every invariant holds" in done.stdout
