"""How many calls a client may make. Pure.

A limit is a token bucket: ``burst`` calls at once, filled again by ``per_second``.
"""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Route = Literal["read", "write"]
"""What kind of call: one that changes nothing, or any other."""

READ: Route = "read"
WRITE: Route = "write"

MAX_CLIENTS = 10_000
"""That can have limits of their own."""

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


class Own(BaseModel):
    """Limits of one client; what is left out is the default's."""

    model_config = _STRICT

    read: Limit | None = None
    write: Limit | None = None


ClientId = Annotated[str, StringConstraints(min_length=1, max_length=255)]


class Limits(BaseModel):
    """All limits, as their file has them."""

    model_config = _STRICT

    default: Default
    clients: Mapping[ClientId, Own] = Field(default_factory=dict, max_length=MAX_CLIENTS)

    def of(self, client: str, route: Route) -> Limit:
        """Return the limit of a client's calls of one kind."""
        own = self.clients.get(client)
        limit = None if own is None else getattr(own, route)
        found: Limit = limit or getattr(self.default, route)
        return found
