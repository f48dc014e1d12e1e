"""What waits for a shard, and what a caller gets back."""

import asyncio
from typing import NamedTuple

from wallet.domain.commands import Command, CreateWallet, Transfer
from wallet.domain.outcome import Outcome
from walletkit.errors import ServiceError

COMMAND_BYTES = 250
"""What a command adds to a batch besides the caller's own bytes."""


class Answer(NamedTuple):
    """What a command came to, and the shard's last record then.

    It holds the change, or is later.
    """

    outcome: Outcome
    seq: int


class Item:
    """A command in the queue."""

    __slots__ = ("command", "deadline", "future", "maybe_committed", "parks", "size")

    def __init__(self, command: Command, future: asyncio.Future[Answer], deadline: float) -> None:
        """Queue a command until ``deadline``, by ``time.monotonic``.

        Begun, it is finished anyway.
        """
        self.command = command
        self.future = future
        self.deadline = deadline
        self.maybe_committed = False
        self.parks = 0
        self.size = COMMAND_BYTES
        if isinstance(command, (Transfer, CreateWallet)):
            self.size += len(command.opaque)

    def unavailable(self, shard: int, why: str) -> None:
        """Tell the caller that the shard can't be used, and whether that leaves a doubt."""
        number = str(shard)
        if self.maybe_committed:
            message = f"the connection to shard {number} broke at a commit; retry with the same key"
            error = ServiceError("OUTCOME_UNKNOWN", message, {"shard": number})
        else:
            message = f"shard {number} {why}; nothing was changed"
            error = ServiceError("SHARD_UNAVAILABLE", message, {"shard": number})
        self.answer(error, 0)

    def answer(self, outcome: Outcome, seq: int) -> None:
        """Tell the caller, if there still is one."""
        if not self.future.done():
            self.future.set_result(Answer(outcome, seq))
