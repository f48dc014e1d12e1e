"""All metrics of the suite, declared in one place: names, labels and meanings.

docs/metrics.md is made from it. A label never holds an id: shards, sinks, methods, reasons and the
like, whose number is bounded.
"""

from walletkit.telemetry.metrics import backup, calls, edge, ledger, notify, process, relay, wallet

GROUPS = (
    *(process.GROUP, *calls.GROUPS.values(), wallet.GROUP, relay.GROUP),
    *(ledger.GROUP, notify.GROUP, edge.GROUP, backup.GROUP),
)
"""In the order of the page."""
