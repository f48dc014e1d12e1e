"""Render the chart, and run the programs that check it: `make chart-tools` installs them."""

import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

Json = dict[str, Any]

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "deploy/helm/guilder"
TOOLS = ROOT / ".tools"
SETS = ("small", "production", "group-replication")
OPTIONS = Path(__file__).parent / "options.yaml"
"""Everything that is off unless it is asked for."""
LIMIT_S = 120


def tool(path: str) -> str:
    """Return a program's path; skip the test where it is not installed."""
    program = TOOLS / path
    if not program.exists():
        pytest.skip(f"{program.name} is installed by `make chart-tools`")
    return str(program)


def run(*command: str) -> subprocess.CompletedProcess[str]:
    """Run a program to its end."""
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=LIMIT_S)


def values(name: str) -> Path:
    """Return a set of values by its name."""
    return OPTIONS if name == "options" else CHART / "ci" / f"{name}-values.yaml"


def template(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Render with any values."""
    return run(
        *(tool("bin/helm"), "template", "demo", str(CHART), "--namespace", "guilder"), *arguments
    )


@cache
def text(name: str) -> str:
    """Return what a set of values renders."""
    done = template("--values", str(values(name)))
    assert done.returncode == 0, done.stderr
    return done.stdout


@cache
def objects(name: str) -> Sequence[Json]:
    """Return the same, read."""
    return tuple(found for found in yaml.safe_load_all(text(name)) if found)


def of(name: str, kind: str) -> dict[str, Json]:
    """Return the objects of a kind, by component: what the chart's labels say."""
    component = "app.kubernetes.io/component"
    return {
        one["metadata"]["labels"][component]: one for one in objects(name) if one["kind"] == kind
    }


def pods(name: str) -> dict[str, Json]:
    """Return the pods' specs of all workloads, by component."""
    jobs = {component: one["spec"]["jobTemplate"] for component, one in of(name, "CronJob").items()}
    deployed = of(name, "Deployment") | of(name, "Job") | jobs
    return {component: one["spec"]["template"]["spec"] for component, one in deployed.items()}
