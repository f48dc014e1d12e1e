"""The dashboards are what the code makes; they name metrics that exist, and none is left out."""

import json
from pathlib import Path

import pytest

from tests.deploy.promql import named
from tests.deploy.registry import FAMILIES, LABELS, METRICS, OF_SCRAPES
from tests.deploy.test_alerts import RECORDED
from tools.dashboards.__main__ import BOARDS, FOLDER, files
from tools.dashboards.panels import COLUMNS, RATE, Board, Panel, rendered

ROOT = Path(__file__).resolve().parents[2]
PANELS = [panel for board in BOARDS for panel in board.panels]
UNSHOWN = {
    "guilder_worker_up": "of one process's workers: the sums by shard show what is missing",
    "ledger_position_seq": "wallet_outbox_lag_records is what it is looked up for",
    "edge_keys_cached": "bounded, and of no consequence",
    "edge_grpc_requests_total": "edge_decisions_total counts the same, by what came of it",
    "edge_grpc_request_duration_seconds": "edge_decision_seconds, likewise",
    "edge_errors_total": "edge_decisions_total and edge_refusals_total",
    "ledger_grpc_requests_total": "the latencies' counts; for a closer look",
    "ledger_errors_total": "for a closer look",
    "notify_grpc_requests_total": "for a closer look",
    "notify_errors_total": "for a closer look",
    "ledger_db_connections_max": "in guilder:db_connections:ratio",
    "notify_db_connections_max": "in guilder:db_connections:ratio",
    "edge_db_connections_max": "in guilder:db_connections:ratio",
    "ledger_db_connection_wait_seconds": "for a closer look, by its alert's runbook",
}
"""Declared, but in no panel, and why."""


def test_the_dashboards_are_those_of_the_code() -> None:
    """What the chart deploys was made anew after the last change: `make docs`."""
    committed = {path.name: path.read_text("utf-8") for path in (ROOT / FOLDER).iterdir()}
    assert committed == files()


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)
def test_a_dashboard_can_be_imported(board: Board) -> None:
    """Ids are its own, panels lie beside and below each other, queries have different letters."""
    made = json.loads(json.dumps(rendered(board)))
    assert len({panel["id"] for panel in made["panels"]}) == len(board.panels)
    places = {(p["gridPos"]["x"], p["gridPos"]["y"]) for p in made["panels"]}
    assert len(places) == len(board.panels)
    for panel in made["panels"]:
        assert panel["gridPos"]["x"] + panel["gridPos"]["w"] <= COLUMNS
        letters = [target["refId"] for target in panel["targets"]]
        assert len(set(letters)) == len(letters)
    assert len(made["uid"]) <= 40, "Grafana's limit"


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel.title)
def test_panels_name_what_there_is(panel: Panel) -> None:
    """Every metric is declared or recorded, and has the labels by which it is asked for."""
    for expression, _ in panel.queries:
        found = named(expression.replace(RATE, "1m"))
        assert found.metrics
        assert found.metrics <= METRICS | RECORDED, expression
        for metric, label in found.matched:
            assert label in LABELS[metric], expression
        own = set().union(*(LABELS.get(name, set()) for name in found.metrics))
        assert found.grouped <= own | OF_SCRAPES, expression


def test_every_metric_is_shown() -> None:
    """Whoever adds one puts it where it is seen, or says why not."""
    shown: set[str] = set()
    for panel in PANELS:
        for query in panel.queries:
            shown |= named(query.expression.replace(RATE, "1m")).metrics
    declared = {
        name
        for name in FAMILIES
        if not shown & {name, f"{name}_bucket", f"{name}_sum", f"{name}_count"}
    }
    assert declared == UNSHOWN.keys()
