"""One order of a simulated client, and every answer to it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

DOUBTFUL = frozenset({"OUTCOME_UNKNOWN", "DEADLINE_EXCEEDED", "CANCELLED", "UNAVAILABLE"})
"""Answers that leave open whether the call was done; UNAVAILABLE: not even a reason came."""
TRANSIENT = DOUBTFUL | {"SHARD_UNAVAILABLE", "OVERLOADED", "SHUTTING_DOWN"}
"""Answers after which a client asks again with the same key."""


class Reply(NamedTuple):
    """One answer to one attempt; ``reason`` is empty when it succeeded."""

    reason: str
    metadata: Mapping[str, str]
    message: Any


class Line(NamedTuple):
    """One posting that is asked for; a side is a wallet's text, empty, or `sys:<kind>`."""

    source: str
    destination: str
    currency: str
    amount: int
    """0: all that is left, which the answer tells."""


class Movement(NamedTuple):
    """A transaction that may be reversed."""

    tx_id: str
    method: str
    lines: tuple[Line, ...]


@dataclass(slots=True, eq=False)
class Order:
    """A request with its key, and every answer to it."""

    method: str
    request: Any
    scope: str
    """The wallet's text or the account, in which the key is unique."""
    lines: tuple[Line, ...] = ()
    """What it moves, if it moves anything."""
    original: Movement | None = None
    """What it sends back."""
    parts: tuple["Order", ...] = ()
    """The commands of an atomic batch; their answers are parts of its answers."""
    spoils: "Order | None" = None
    """The order whose key this one uses for something else."""
    replies: list[Reply] = field(default_factory=list)

    @property
    def key(self) -> str:
        """The idempotency key; a command of a batch is known by its reference."""
        return str(self.request.idempotency_key or getattr(self.request, "reference", ""))

    @property
    def good(self) -> list[Reply]:
        """The answers that say it was done."""
        return [reply for reply in self.replies if not reply.reason]

    @property
    def bad(self) -> list[Reply]:
        """The final answers that say it was not."""
        return [reply for reply in self.replies if reply.reason not in {*TRANSIENT, ""}]

    @property
    def final(self) -> bool:
        """Whether it has got an answer after which nobody asks again."""
        return any(reply.reason not in TRANSIENT for reply in self.replies)

    def hear(self, reply: Reply) -> None:
        """Take an answer, and give each part its own."""
        self.replies.append(reply)
        if self.parts and not reply.reason:
            for part, result in zip(self.parts, reply.message.results, strict=True):
                one = getattr(result, result.WhichOneof("result"))
                part.replies.append(Reply("", {}, one))
