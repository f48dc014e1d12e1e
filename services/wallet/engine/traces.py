"""Tell those who follow a command how long it waited, and of the batch that carried it out."""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from wallet.domain.batch import Batch, Traced
from wallet.domain.commands import Atomic, CloseIntent, Command, ExpireHold, LandLeg
from wallet.engine.queue import Item
from walletkit.telemetry import tracing
from walletkit.trace import Span

MAX_FOLLOWED = 100
"""Commands of one batch whose followers its record names: it is kept for ever."""


class Steps(NamedTuple):
    """How long each step of a batch took, seconds."""

    load: float
    decide: float
    save: float


class ShardTraces:
    """The spans of one shard's batches."""

    def __init__(self, number: int) -> None:
        """Name the shard."""
        self._shard = number
        self._spans = tracing.active()

    def of(self, items: Sequence[Item]) -> tuple[Traced, ...]:
        """Return who follows what, among the commands of a batch; it is nobody nearly always."""
        if self._spans is None:
            return ()
        refs: dict[Span, list[bytes]] = {}
        followed = ((item.span, item.command) for item in items if item.span is not None)
        for span, command in islice(followed, MAX_FOLLOWED):
            refs.setdefault(span, []).extend(_refs(command))
        return tuple(Traced(span, tuple(named)) for span, named in refs.items())

    def committed(self, batch: Batch, items: Sequence[Item], seq: int, took_s: Steps) -> None:
        """Tell of a batch right after its commit."""
        if self._spans is None:
            return
        began_ns = tracing.since_ns(sum(took_s))
        told = {"guilder.shard": self._shard, "guilder.seq": seq}
        spans = [traced.span for traced in batch.traces]
        steps = {f"guilder.{step}_us": int(took * 1e6) for step, took in took_s._asdict().items()}
        whole = self._spans.done(
            "batch", None, began_ns, {**told, "guilder.commands": len(items), **steps}, spans
        )
        came_ns: dict[Span, int] = {}
        for item in items:
            if item.span is not None:
                came_ns.setdefault(item.span, item.queued_ns)
        for span in spans:
            self._spans.done("queue", span, came_ns[span], told, until_ns=began_ns)
            self._spans.done("commit", span, began_ns, told, [whole])


def spans_of(batch: Batch) -> dict[bytes, Span]:
    """Return who follows what a batch was asked for, by the ids of that."""
    return {ref: traced.span for traced in batch.traces for ref in traced.refs}


def _refs(command: Command) -> Iterator[bytes]:
    """Yield what a record tells of that a command asked for."""
    if isinstance(command, Atomic):
        for part in command.commands:
            yield from _refs(part)
    elif isinstance(command, LandLeg):
        yield command.intent.tx_id
    elif isinstance(command, CloseIntent):
        yield command.tx_id
    elif isinstance(command, ExpireHold):
        yield command.hold_id
    else:
        yield command.ref
        subject = getattr(command, "hold_id", b"") or getattr(command, "wallet_id", b"")
        if subject:
            yield subject
