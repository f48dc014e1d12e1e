"""The guide's commands do what it says: they are pasted into a shell, from the top."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
GUIDE = ROOT / "docs" / "guide.md"
GUIDE_S = 240
START_S = 30


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


@pytest.fixture
def programs(tmp_path: Path) -> Iterator[Path]:
    """Put `guilder` and `grpcurl` into a folder; they run in forks of one process."""
    path = tmp_path / "socket"
    for name in ("guilder", "grpcurl"):
        program = tmp_path / name
        client = f'{sys.executable} -S {ROOT}/tests/cli/fork_server.py {path} {name} "$@"'
        program.write_text(f"#!/bin/sh\nexec {client}\n")
        program.chmod(0o755)
    server = subprocess.Popen([sys.executable, "-m", "tests.cli.guide_programs", path], cwd=ROOT)
    try:
        give_up = time.monotonic() + START_S
        while not path.exists():
            assert server.poll() is None
            assert time.monotonic() < give_up
            time.sleep(0.05)
        yield tmp_path
    finally:
        server.kill()
        server.wait()


@pytest.mark.timeout(GUIDE_S)
def test_the_guide_can_be_pasted(addresses: dict[str, str], programs: Path) -> None:
    """Every command of the guide works, or is refused with the reason beside it."""
    # The guide puts the venv's folder first; these must come before.
    pasted = script().replace("PATH=$PWD", f"PATH={programs}:$PWD")
    done = subprocess.run(
        ["bash", "-c", pasted],
        cwd=ROOT,
        env={**os.environ, **addresses, "TMPDIR": str(programs), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=GUIDE_S,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    assert "Clean: every invariant holds" in done.stdout
