"""How many calls a client may make. Pure.

A limit is a token bucket: ``burst`` calls at once, filled again by ``per_second``.
"""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Route = Literal["read", "write", "batch"]
"""What kind of call: one that changes nothing, one of many commands, or any other."""

READ: Route = "read"
WRITE: Route = "write"
BATCH: Route = "batch"

MAX_CLIENTS = 10_000
"""That can have limits of their own."""
MAX_TOKENS = 1_000
"""Given to one who asks: calls of one client that pass before it asks again."""

_STRICT = ConfigDict(frozen=True, extra="forbid")


class Limit(BaseModel):
    """A token bucket."""

    model_config = _STRICT

    per_second: float = Field(ge=0.01, le=100_000, allow_inf_nan=False)
    burst: int = Field(ge=1, le=1_000_000)

    @property
    def interval_us(self) -> float:
        """Microseconds that give one token."""
        return 1_000_000 / self.per_second


class Default(BaseModel):
    """The limits of every client."""

    model_config = _STRICT

    read: Limit
    write: Limit
    batch: Limit | None = None
    """Left out beside a limit of writes, a batch counts as a write."""


class Own(BaseModel):
    """Limits of one client; what is left out is the default's."""

    model_config = _STRICT

    read: Limit | None = None
    write: Limit | None = None
    batch: Limit | None = None


ClientId = Annotated[str, StringConstraints(min_length=1, max_length=255)]


class Limits(BaseModel):
    """All limits, as their file has them."""

    model_config = _STRICT

    default: Default
    clients: Mapping[ClientId, Own] = Field(default_factory=dict, max_length=MAX_CLIENTS)

    def of(self, client: str, route: Route) -> tuple[Route, Limit]:
        """Return as which kind a client's call of one kind is counted, and the limit of these."""
        for limits in (self.clients.get(client), self.default):
            limit: Limit | None = getattr(limits, route, None)
            if limit is not None:
                return route, limit
            if route == BATCH and limits is not None and limits.write is not None:
                return WRITE, limits.write
        raise AssertionError("the default has a limit for reads and one for writes")
