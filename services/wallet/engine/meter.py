"""Count what a shard's loop does: once a batch, with instruments that are looked up ahead."""

from collections import Counter

from wallet.domain.batch import Batch, Changes
from wallet.domain.commands import CaptureHold, KeyedCommand, PostTransaction, Reverse, Transfer
from wallet.domain.kinds import HoldChangeKind, LegResult, TransactionState, TransactionType
from wallet.store.faults import Fault
from walletkit.errors import ServiceError
from walletkit.telemetry.metrics import wallet as metrics

REFUSALS = ("OVERLOADED", "SHARD_UNAVAILABLE", "SHUTTING_DOWN", "DEADLINE_EXCEEDED")


class ShardMeter:
    """The instruments of one shard."""

    def __init__(self, number: int) -> None:
        """Name the shard."""
        shard = str(number)
        self.up = metrics.SHARD_UP.of(shard)
        self.queue_depth = metrics.QUEUE_DEPTH.of(shard)
        self.queue_limit = metrics.QUEUE_LIMIT.of(shard)
        self.refusals = {reason: metrics.QUEUE_REFUSALS.of(shard, reason) for reason in REFUSALS}
        self.connections = metrics.CONNECTIONS.of(shard)
        self.parked = metrics.PARKED.of(shard)
        self.load = metrics.BATCH_SECONDS.of(shard, "load")
        self.decide = metrics.BATCH_SECONDS.of(shard, "decide")
        self.commit = metrics.BATCH_SECONDS.of(shard, "commit")
        self._faults = {
            fault: metrics.BATCH_FAULTS.of(shard, fault.name.lower()) for fault in Fault
        }
        self._commands = metrics.BATCH_COMMANDS.of(shard)
        self._replays = metrics.REPLAYS.of(shard)
        self._made = {
            (kind, state): metrics.TRANSACTIONS.of(kind.name.lower(), state.name.lower())
            for kind in TransactionType
            for state in (TransactionState.COMPLETED, TransactionState.PROCESSING)
        }
        self._declined = {
            kind: metrics.TRANSACTIONS.of(kind.name.lower(), "declined") for kind in TransactionType
        }
        self._holds = {kind: metrics.HOLDS.of(kind.name.lower()) for kind in HoldChangeKind}
        self._legs = {result: metrics.LEGS.of(result.name.lower()) for result in LegResult}

    def failed(self, fault: Fault) -> None:
        """Count a batch that failed."""
        self._faults[fault].add()

    def committed(self, batch: Batch, commands: int) -> None:
        """Count a batch after its commit."""
        self._commands.observe(commands)
        self._replays.value += len(batch.kept)
        self._count_money(batch.changes)
        for key in batch.changes.keys:
            if isinstance(key.outcome, ServiceError):
                self._decline(key.command, key.outcome)
        for change in batch.changes.hold_changes:
            self._holds[change.kind].value += 1
        for leg in batch.changes.legs:
            self._legs[leg.result].value += 1

    def _count_money(self, changes: Changes) -> None:
        made = Counter([(new.command.type, new.state) for new in changes.transactions])
        for what, number in made.items():
            self._made[what].value += number
        volume: dict[str, int] = {}
        for new in changes.transactions:
            for posting in new.postings:
                volume[posting.currency] = volume.get(posting.currency, 0) + posting.amount
        for currency, amount in volume.items():
            metrics.VOLUME.of(currency).value += amount

    def _decline(self, command: KeyedCommand, error: ServiceError) -> None:
        metrics.DECLINES.of(error.reason).add()
        kind = _type_of(command)
        if kind is not None:
            self._declined[kind].add()


def _type_of(command: KeyedCommand) -> TransactionType | None:
    """Return the type of the transaction that a command would have made; None: it makes none."""
    if isinstance(command, Transfer):
        return command.type
    if isinstance(command, CaptureHold):
        return TransactionType.CAPTURE
    if isinstance(command, Reverse):
        return TransactionType.REVERSAL
    return TransactionType.POSTING if isinstance(command, PostTransaction) else None
