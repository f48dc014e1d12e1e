"""What the Dockerfile installs answers health in production (T4): its steps, made here.

The image itself needs Docker. Its commands do not: they run on the files that it copies, nothing
else, and what they install serves by itself, with the environment of the image.
"""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import FreshDatabases
from tests.deploy.chart import ROOT
from walletkit.stack.settings import LOOPBACK, free_ports

DOCKERFILE = ROOT / "deploy/docker/Dockerfile"
STEP_S = 240
"""The longest step: an installation that finds nothing in uv's cache."""
STOP_S = 15
PYTHON = Path(sys.base_prefix) / "bin" / f"python3.{sys.version_info.minor}"
"""Without the packages of these tests."""
ENTRY = (str(PYTHON), "-P", "-m")


def run(*command: str | Path, cwd: Path, env: dict[str, str] | None = None) -> str:
    """Run a step and return what it prints."""
    done = subprocess.run(
        command, cwd=cwd, env=env, capture_output=True, text=True, timeout=STEP_S, check=False
    )
    assert done.returncode == 0, (command, done.stdout, done.stderr)
    return done.stdout


def copied(into: Path) -> None:
    """Copy what the Dockerfile copies, to where it does."""
    text = DOCKERFILE.read_text(encoding="utf-8")
    for line in re.findall(r"^COPY (?!--)(.+)$", text, re.MULTILINE):
        *sources, place = line.split()
        for source in sources:
            to = into / source if place == "./" else into / place
            to.parent.mkdir(parents=True, exist_ok=True)
            if (ROOT / source).is_dir():
                without = shutil.ignore_patterns("__pycache__")
                shutil.copytree(ROOT / source, to, dirs_exist_ok=True, ignore=without)
            else:
                shutil.copyfile(ROOT / source, to)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make what the image has in /opt/guilder, by the Dockerfile's commands."""
    build = tmp_path_factory.mktemp("build")
    copied(build)
    opt = tmp_path_factory.mktemp("opt")
    (build / "run.lock").write_text(run(sys.executable, "tools/run_lock.py", cwd=build), "utf-8")
    uv = Path(sys.executable).with_name("uv")
    into = ("pip", "install", "--python", sys.executable, "--target", opt / "lib", "--no-deps")
    run(uv, *into, "--require-hashes", "--requirements", "run.lock", cwd=build)
    run(uv, *into, "--no-build-isolation", ".", cwd=build)
    return opt


@contextmanager
def serving(command: tuple[str, ...], env: dict[str, str], cwd: Path) -> Iterator[None]:
    """Run a process that has to end by itself when it is asked to."""
    with subprocess.Popen(command, env=env, cwd=cwd, stdout=subprocess.DEVNULL) as process:
        try:
            yield
        finally:
            process.terminate()
            code = process.wait(STOP_S)
    assert code == 0


@pytest.mark.timeout(3 * STEP_S)
def test_the_installation_of_the_image_answers_health(
    installed: Path, fresh_databases: FreshDatabases, tmp_path: Path
) -> None:
    """Migrated and served by the entry point, with no package, file or variable but the image's."""
    port, health, metrics, nobody = free_ports(4)
    env = {"PYTHONPATH": str(installed / "lib"), "PYTHONDONTWRITEBYTECODE": "1"}
    assert not (installed / "lib/pytest").exists()
    for number, url in enumerate(fresh_databases.shards):
        env[f"WALLET_SHARD_{number}_URL"] = url
    env |= {
        "WALLET_AUTH_MODE": "trusted",
        "WALLET_LISTEN": f"{LOOPBACK}:{port}",
        "WALLET_HEALTH_ADDRESS": f"{LOOPBACK}:{health}",
        "WALLET_METRICS_ADDRESS": f"{LOOPBACK}:{metrics}",
        "WALLET_LEDGER_ADDRESS": f"{LOOPBACK}:{nobody}",
        "WALLET_NOTIFY_ADDRESS": f"{LOOPBACK}:{nobody}",
    }
    run(*ENTRY, "wallet", "migrate", cwd=tmp_path, env=env)
    with serving((*ENTRY, "wallet", "serve"), env, tmp_path):
        run(*ENTRY, "walletkit.rpc.ready", f"{LOOPBACK}:{health}", cwd=tmp_path, env=env)
    assert not list(tmp_path.iterdir())
