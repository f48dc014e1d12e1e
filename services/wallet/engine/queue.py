"""What waits for a shard, and what a caller gets back."""

import asyncio
from typing import NamedTuple

from wallet.domain.commands import Command, Transfer
from wallet.domain.outcome import Outcome

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

    __slots__ = ("command", "deadline", "future", "parks", "size")

    def __init__(self, command: Command, future: asyncio.Future[Answer], deadline: float) -> None:
        """Queue a command until ``deadline``, by ``time.monotonic``.

        Begun, it is finished anyway.
        """
        self.command = command
        self.future = future
        self.deadline = deadline
        self.parks = 0
        self.size = COMMAND_BYTES
        if isinstance(command, Transfer):
            self.size += len(command.opaque)

    def answer(self, outcome: Outcome, seq: int) -> None:
        """Tell the caller, if there still is one."""
        if not self.future.done():
            self.future.set_result(Answer(outcome, seq))
