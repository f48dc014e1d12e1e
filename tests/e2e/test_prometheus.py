"""A real Prometheus scrapes a running suite: every alert and every panel is of what it sees."""

import asyncio
import itertools
import random
import re
import time
from pathlib import Path

import pytest

from guilder.client import Guilder
from tests.deploy.promql import named
from tests.deploy.registry import PROMETHEUS
from tests.deploy.test_alerts import ALERTS, RECORDED
from tests.e2e import provoking
from tests.e2e.prometheus import Prometheus, scraping
from tests.e2e.provoking import endpoints
from tests.e2e.test_metrics import moving, watched
from tests.e2e.traffic import Traffic, open_client
from tools.dashboards.__main__ import BOARDS
from tools.dashboards.panels import RATE
from walletkit.stack import Stack

WINDOW = "1m"
SEEN_S = 90.0
COMPARED = re.compile(r"(>=|<=|==|>|<) (?=\d)")
UNSEEN = {
    "guilder_certificate_expiry_timestamp_seconds": "no TLS here: tests/auth/test_certificates.py",
    "wallet_replica_up": "no replicas here: tests/wallet/test_replicas.py",
    "wallet_replica_lag_records": "likewise",
    "wallet_replica_lag_seconds": "likewise",
}
SILENT = {"ProcessMissing": "absent() is empty while all is there"}
CALM = {"HighLatency", "LowThroughput", "RecordRefused", "WebhookDeadLetters"}
"""What may fire here: the tests make dead letters and a bad record, on a machine without time."""

pytestmark = pytest.mark.skipif(not PROMETHEUS.exists(), reason="no prometheus: make prometheus")


def expressions() -> dict[str, str]:
    """Return every alert, in a form that is data whether it fires or not, and every query."""
    found = {
        name: COMPARED.sub(r"\1 bool ", rule["expr"])
        for name, rule in ALERTS.items()
        if name not in SILENT
    }
    for board in BOARDS:
        for panel in board.panels:
            for letter, query in enumerate(panel.queries):
                found[f"{board.name}: {panel.title} {letter}"] = query.expression
    return {
        name: expression.replace(RATE, WINDOW)
        for name, expression in found.items()
        if not named(expression.replace(RATE, WINDOW)).metrics & UNSEEN.keys()
    }


@pytest.mark.timeout(400)
async def test_every_alert_and_panel_has_data(suite: Stack, tmp_path: Path) -> None:
    """Each query parses and returns series of a suite that moves money; each metric has some."""
    async with (
        open_client(suite) as guilder,
        endpoints() as at,
        scraping(suite, tmp_path) as prometheus,
    ):
        traffic = Traffic(guilder, random.Random(9))
        await traffic.prepare()
        await provoking.subscribe(guilder, at, traffic.wallets[:4])
        await provoking.back_up(suite, tmp_path)
        async with moving(traffic), watched(guilder):
            missing = await _until_seen(suite, guilder, traffic, prometheus)
        assert missing == set()
        assert await prometheus.unhealthy() == {}
        for rule in ALERTS.values():
            await prometheus.query(rule["expr"])
        metrics = set().union(*(named(one).metrics for one in expressions().values()))
        silent = [
            name
            for name in sorted(metrics - RECORDED)
            if not await prometheus.query(f"count(last_over_time({name}[5m]))")
        ]
        assert silent == []
        firing = await prometheus.firing()
        assert "RecordRefused" in firing
        assert firing <= CALM


async def _until_seen(
    suite: Stack, guilder: Guilder, traffic: Traffic, prometheus: Prometheus
) -> set[str]:
    """Let happen what can until no expression is without data; return those that still are."""
    here, there = [await provoking.wallets_of(suite, n, traffic.wallets) for n in range(2)]
    wanted = expressions()
    give_up = time.monotonic() + SEEN_S
    while wanted and time.monotonic() < give_up:
        await provoking.decline(guilder, here[0], here[1])
        await provoking.read_a_lot(guilder, here[0], here[1])
        await provoking.knock(suite)
        await provoking.send_nonsense(suite)
        await provoking.ask_wrongly(suite, guilder)
        await asyncio.gather(
            guilder.ledger.verify_transit(),
            *(guilder.ledger.verify_chain(shard) for shard in range(2)),
            *(guilder.ledger.reconcile(shard) for shard in range(2)),
            *(provoking.cross(guilder, *pair, 2) for pair in itertools.pairwise(there)),
        )
        await asyncio.sleep(2)
        for name, expression in list(wanted.items()):
            if await prometheus.query(expression):
                del wanted[name]
    return set(wanted)
