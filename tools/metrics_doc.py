"""Write docs/metrics.md from the declared metrics (walletkit.telemetry.metrics). `make docs`."""

import sys
from pathlib import Path

from walletkit.telemetry.instruments import MAX_SERIES, AnyFamily
from walletkit.telemetry.metrics import GROUPS

PAGE = Path("docs/metrics.md")

_HEAD = f"""# Metrics

Made from `libs/walletkit/telemetry/metrics/` by `make docs`; a test keeps both equal, and another
makes traffic on a running suite and sees every one of them.

Each process answers `GET /metrics` at its `_METRICS_ADDRESS` ([operations.md](operations.md)), in
Prometheus' text format or OpenMetrics, in a thread of its own. A series appears with the process,
shard, sink or pool that it is of, or with the first call, reason or currency.

- **Labels** are bounded: shards, sinks, methods, reasons, kinds. None holds the id of a wallet,
  account, client, transaction or subscription. Beyond {MAX_SERIES} series of one metric the rest is
  counted together, with `other` as every label.
- **Workers** (WALLET_WORKERS above 1): one scrape of the parent asks all of them. Each series has
  the label `worker`, its number, which a replaced worker keeps: its counters begin anew, as those
  of a restarted process do, so take `rate` first and `sum` after it. `guilder_worker_up` says who
  answered.
- **Units** are the end of a name: `_seconds`, `_minor` (of a currency), `_records`, else a number
  of what is counted. Counters begin at 0 with their process.
- **Buckets** of latencies: 1 to 20 ms in steps of a third to a half, then 30, 40, 50, 60, 75, 90,
  100, 125, 150, 200, 300, 500 ms, 1, 2.5, 5, 10, 30 s. So the goals (p50 < 50 ms, p95 and p99 <
  100 ms, p99 < 200 ms, the alert at 500 ms) are bounds: the share of calls within one is exact, and
  a p99 between 50 and 200 ms is off by a third at most.
- `process_*` (CPU, memory, open files) and `python_gc_*` of the Python client library are there for
  every process, too.

HTTP is Envoy's: its admin interface tells `GET /stats/prometheus`. What the Node wallet called
`wallet_http_requests_total` is `envoy_http_downstream_rq_xx` (label `envoy_response_code_class`),
and `wallet_http_request_duration_ms` is `envoy_http_downstream_rq_time` (ms), both with the label
`envoy_http_conn_manager_prefix`.
"""


def page() -> str:
    """Return the page's text."""
    parts = [_HEAD]
    for group in GROUPS:
        parts.append(f"\n## {group.title}\n\n| name | type | labels | meaning |\n")
        parts.append("| --- | --- | --- | --- |\n")
        parts += [_row(family) for family in group.families]
    return "".join(parts)


def _row(family: AnyFamily) -> str:
    labels = ", ".join(family.labels)
    return f"| `{family.name}` | {family.kind} | {labels} | {family.meaning} |\n"


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(), encoding="utf-8")
    sys.stdout.write(f"{PAGE}: {sum(len(group.families) for group in GROUPS)} metrics\n")


if __name__ == "__main__":
    main()
