"""What waits for a shard, and what a caller gets back."""

import asyncio
import time
from typing import NamedTuple

from wallet.domain.audit import NO_CAUSE
from wallet.domain.commands import (
    Atomic,
    Command,
    FreezeAccount,
    InternalCommand,
    PostTransaction,
    SetAccountLimits,
    Transfer,
)
from wallet.domain.outcome import Outcome
from walletkit.errors import ServiceError
from walletkit.trace import current

COMMAND_BYTES = 250
"""What a command adds to a batch besides the caller's own bytes."""
LINE_BYTES = 150
"""What each of several postings adds."""
ACCOUNT_BYTES = 256 * 1024
"""What a change of a whole account adds: up to a thousand wallets change with it."""
MAX_ATOMIC_BYTES = 2 * 1024 * 1024
"""The largest atomic batch. It can't be split, its packet is about four times as large, and no
packet may reach the 16 MiB that servers take; meanwhile all of its shard waits for it."""


class Answer(NamedTuple):
    """What a command came to, on which shard, and the shard's last record then.

    It holds the change, or is later.
    """

    outcome: Outcome
    seq: int
    shard: int


class Item:
    """A command in the queue."""

    __slots__ = (
        "command",
        "deadline",
        "future",
        "internal",
        "maybe_committed",
        "parks",
        "queued_ns",
        "shard",
        "size",
        "span",
    )

    def __init__(
        self, command: Command, future: asyncio.Future[Answer], deadline: float, shard: int
    ) -> None:
        """Queue a command at a shard until ``deadline``, by ``time.monotonic``.

        Begun, it is finished anyway.
        """
        self.command = command
        self.future = future
        self.deadline = deadline
        self.shard = shard
        self.maybe_committed = False
        self.parks = 0
        self.internal = isinstance(command, InternalCommand)
        """Whether it is the suite's own, which only shrinks what is open."""
        self.size = size_of(command)
        self.span = current()
        """Whoever follows it; then it also tells when it came, nanoseconds since 1970."""
        self.queued_ns = 0 if self.span is None else time.time_ns()

    def unavailable(self, why: str) -> None:
        """Tell the caller that the shard can't be used, and whether that leaves a doubt."""
        number = str(self.shard)
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
            self.future.set_result(Answer(outcome, seq, self.shard))


def size_of(command: Command) -> int:
    """Return about how many bytes a command adds to its batch."""
    if isinstance(command, Transfer):
        return COMMAND_BYTES + len(command.opaque)
    if isinstance(command, Atomic):
        return COMMAND_BYTES + sum(size_of(part) for part in command.commands)
    if isinstance(command, (FreezeAccount, SetAccountLimits)):
        return ACCOUNT_BYTES
    size = COMMAND_BYTES + len(getattr(command, "opaque", b""))
    size += len(getattr(command, "cause", NO_CAUSE).reason)
    if isinstance(command, PostTransaction):
        size += LINE_BYTES * len(command.lines)
    return size
