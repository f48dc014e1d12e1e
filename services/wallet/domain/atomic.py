"""Decide several commands, all or none."""

from collections.abc import Callable

from wallet.domain.batch import Batch
from wallet.domain.commands import Atomic, SingleCommand
from wallet.domain.outcome import AtomicSet, SingleOutcome
from wallet.domain.trial import Trial
from walletkit.errors import ServiceError

DecideOne = Callable[[Batch, SingleCommand], SingleOutcome | ServiceError]


def decide_atomic(batch: Batch, command: Atomic, decide_one: DecideOne) -> AtomicSet | ServiceError:
    """Decide each command in order; the first that is declined undoes those before it.

    Its decline is the whole's, with ``failed_index`` in the metadata: the place of the command.
    """
    trial = Trial(batch)
    outcomes: list[SingleOutcome] = []
    for index, one in enumerate(command.commands):
        outcome = decide_one(trial.batch, one)
        if isinstance(outcome, ServiceError):
            trial.drop()
            metadata = {**outcome.metadata, "failed_index": str(index)}
            return ServiceError(outcome.reason, outcome.message, metadata, outcome.violations)
        outcomes.append(outcome)
    trial.keep()
    return AtomicSet(tuple(outcomes), replayed=False)
