"""The alerts are sound rules, of metrics that exist; each fires, is silent, and has a runbook."""

import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from guilder.cli.app import app
from tests.deploy.promql import named
from tests.deploy.registry import FAMILIES, LABELS, METRICS, OF_SCRAPES, PROMTOOL
from tools import alerts_doc

ROOT = Path(__file__).resolve().parents[2]
RULES = ROOT / alerts_doc.RULES
CASES = sorted((ROOT / "tests/deploy/alerts").glob("*.yaml"))
GROUPS = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
EVERY = [rule for group in GROUPS for rule in group["rules"]]
ALERTS = {rule["alert"]: rule for rule in EVERY if "alert" in rule}
RECORDED = {rule["record"] for rule in EVERY if "record" in rule}
PAGES = sorted((ROOT / "docs/runbooks").glob("*.md"))
SECTIONS = ["## First look", "## What to do", "## It is over"]
OURS = re.compile(
    r"\b(?:wallet|ledger|notify|edge|guilder|envoy_http|envoy_server)_\w+"
    r"(?:_total|_seconds\w*|_records|_sum|_count)\b"
)
AGGREGATED = re.compile(r"\b(?:sum|min|max|absent|vector)\b\s*(?:by\s*)?\(|guilder:\w+:\w+")
"""A recorded metric is one that was added up."""
FIRING = re.compile(r'ALERTS\{alertname="(\w+)",alertstate="firing"\}')


def promtool(*arguments: str | Path) -> str:
    """Run promtool; return what it says, or fail with it."""
    if not PROMTOOL.exists():
        pytest.skip("promtool is not here: make prometheus")
    done = subprocess.run(
        [PROMTOOL, *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_rules_are_sound() -> None:
    """Prometheus would load them, its linter finds nothing, and it counts all of them."""
    assert f"{len(EVERY)} rules found" in promtool("check", "rules", "--lint-fatal", RULES)


@pytest.mark.parametrize("page", CASES, ids=lambda page: page.stem)
def test_alerts_fire_and_are_silent(page: Path) -> None:
    """What the cases say of each alert is what Prometheus does."""
    promtool("test", "rules", page)


def test_there_is_a_case_of_each_alert() -> None:
    """One in which it fires, and one without it."""
    said: dict[str, set[bool]] = {name: set() for name in ALERTS}
    for page in CASES:
        for case in yaml.safe_load(page.read_text(encoding="utf-8"))["tests"]:
            for one in case["promql_expr_test"]:
                (name,) = FIRING.findall(one["expr"])
                said[name].add(bool(one["exp_samples"]))
    assert [name for name, ways in said.items() if ways != {True, False}] == []


@pytest.mark.parametrize("rule", EVERY, ids=lambda rule: rule.get("alert") or rule["record"])
def test_rules_name_what_there_is(rule: dict[str, Any]) -> None:
    """Every metric is declared in the code, or recorded here; every label is one of it."""
    found = named(rule["expr"])
    assert found.metrics, "no metric was seen"
    assert found.metrics <= METRICS | RECORDED
    for metric, label in found.matched:
        if metric in METRICS:
            assert label in LABELS[metric], f"{metric} has no label {label}"
    every = set().union(*(LABELS[name] for name in found.metrics if name in METRICS), OF_SCRAPES)
    if not found.metrics & RECORDED:
        assert found.grouped <= every


@pytest.mark.parametrize("rule", ALERTS.values(), ids=lambda rule: rule["alert"])
def test_alerts_say_what_is_needed_at_night(rule: dict[str, Any]) -> None:
    """How bad, what it is, what to read; and which comparison may be set."""
    assert rule["labels"]["severity"] in {"critical", "warning"}
    notes = rule["annotations"]
    assert {"summary", "description", "runbook_url"} <= notes.keys()
    assert (ROOT / notes["runbook_url"]).exists()
    assert notes["runbook_url"].startswith("docs/runbooks/")
    assert notes["description"].endswith(".")
    if "threshold" in notes:
        # The chart replaces the text: it has to be there, and be no beginning of a longer one.
        threshold = re.escape(notes["threshold"])
        assert re.fullmatch(r"[<>] [0-9.]+", notes["threshold"])
        assert re.search(threshold, rule["expr"])
        assert not re.search(rf"{threshold}[0-9.a-z]", rule["expr"])


@pytest.mark.parametrize("rule", ALERTS.values(), ids=lambda rule: rule["alert"])
def test_alerts_hold_nothing_of_a_single_call(rule: dict[str, Any]) -> None:
    """What makes an alert another one is a bounded label alone; how bad it is, is text (T40)."""
    assert not [value for value in rule["labels"].values() if "{" in value or "$" in value]
    every = "".join(rule["annotations"].values())
    assert set(re.findall(r"\$\w+", every)) <= {"$value", "$labels"}
    found = named(rule["expr"])
    recorded = [one for one in EVERY if one.get("record") in found.metrics]
    bounded = found.grouped | {label for one in recorded for label in one["labels"]}
    bounded |= set().union(*(named(one["expr"]).grouped for one in recorded))
    bounded |= set(re.findall(r'label_replace\(.*?, "(\w+)",', rule["expr"]))
    assert set(re.findall(r"\$labels\.(\w+)", every)) <= bounded
    # Added up, or absent: no series of a metric as it came, with whatever labels it has.
    for part in re.split(r"\b(?:or|and)\b", rule["expr"]):
        assert AGGREGATED.search(part), part


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_runbooks_are_whole(page: Path) -> None:
    """Each begins with its alert, has the same sections, and says what customers feel."""
    text = page.read_text(encoding="utf-8")
    assert text.startswith(f"# {page.stem}\n")
    assert re.findall(r"^## .*$", text, re.MULTILINE) == SECTIONS
    assert "**Customers**" in text
    assert str(page.relative_to(ROOT)) in {
        rule["annotations"]["runbook_url"] for rule in ALERTS.values()
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_runbooks_name_metrics_that_exist(page: Path) -> None:
    """What is to be looked at can be looked at."""
    found = set(OURS.findall(page.read_text(encoding="utf-8")))
    assert found <= METRICS | FAMILIES | RECORDED


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_runbooks_name_commands_that_exist(page: Path) -> None:
    """Each `guilder …` is a command of the command line, with options that it takes."""
    for line in re.findall(r"`(guilder [a-z][^`]*)`", page.read_text(encoding="utf-8")):
        command: Any = typer.main.get_command(app)
        words = shlex.split(line)[1:]
        while words and hasattr(command, "commands"):
            command = command.commands[words.pop(0)]
        options = {name for one in command.params for name in one.opts} | {"--help"}
        assert {word for word in words if word.startswith("--")} <= options, line


def test_the_page_of_alerts_is_the_rules() -> None:
    """docs/alerts.md was made anew after the last change of the rules: `make docs`."""
    assert (ROOT / alerts_doc.PAGE).read_text(encoding="utf-8") == alerts_doc.page()
