"""Tell those who follow a change when it was in the journal."""

from collections.abc import Sequence

from ledger.ingest.incoming import Incoming
from walletkit.telemetry import tracing


def tell_of(shard: int, taken: Sequence[Incoming], seconds: float) -> None:
    """Tell of records whose commit took so long: each from its own commit on its shard."""
    spans = tracing.active()
    if spans is None:
        return
    commit_us = int(seconds * 1e6)
    for item in taken:
        told = {
            "guilder.shard": shard,
            "guilder.seq": item.seq,
            "guilder.records": len(taken),
            "guilder.commit_us": commit_us,
        }
        for span in item.record.followers:
            spans.done("journal", span, item.record.time_us * 1_000, told)
