"""Say on whose behalf a call is made, and which roles that gives. Pure.

The principal of the call that is being served is a context variable: each call has a task, and so
a context, of its own. Without credentials, which only a service that trusts its callers accepts,
it is ``TRUSTED``.
"""

from contextvars import ContextVar
from enum import StrEnum
from typing import NamedTuple


class Role(StrEnum):
    """What a caller may be; one credential can have several."""

    CUSTOMER = "customer"
    """Reaches the wallets of one account: its own."""
    SERVICE = "service"
    """A machine of the company's that moves money on behalf of customers."""
    OPERATOR = "operator"
    """A person who runs the business: freezes, reverses, sets limits."""
    AUDITOR = "auditor"
    """Reads everything, and changes nothing."""
    ADMIN = "admin"
    """Gives out credentials, and may do all that the others may."""
    INTERNAL = "internal"
    """Another service of the suite. No token can claim it: it follows from the subject or the
    certificate, where the settings name these."""


class Principal(NamedTuple):
    """Who calls, as its credential says."""

    client_id: str
    """The credential's id: the scope of its idempotency keys. Empty for a trusted caller."""
    roles: frozenset[Role]
    account_id: str = ""
    """The one account whose wallets it reaches; empty where its roles reach all."""
    key_id: str = ""
    """The API key that it calls with; empty for callers of another kind."""

    @property
    def actor(self) -> str:
        """Who acts, for a log: one client may have several keys."""
        return f"{self.client_id}/{self.key_id}" if self.key_id else self.client_id


KEY_PREFIX = "key:"
"""Begins the client id of who calls with an API key: no other issuer may give such a subject."""


TRUSTED = Principal("", frozenset(Role))
"""A caller without credentials, of a service that trusts its callers."""

MOVERS = frozenset((Role.SERVICE, Role.OPERATOR, Role.ADMIN))
"""Who may change wallets of any account, and bring in money from outside."""
READERS = frozenset(Role) - {Role.CUSTOMER}
"""Who may read wallets of any account."""

_current: ContextVar[Principal] = ContextVar("principal", default=TRUSTED)


# Bound, not wrapped: it is asked on the hot path.
current = _current.get
"""Return the principal of the call that is being served."""


def become(principal: Principal) -> None:
    """Serve the rest of this task, and what it starts, on behalf of a principal."""
    _current.set(principal)


def confined_to(free: frozenset[Role]) -> str | None:
    """Return the one account that the caller reaches; None where a role of his is among ``free``.

    Who has no role at all is confined, too.
    """
    who = _current.get()
    return who.account_id if who.roles.isdisjoint(free) else None
