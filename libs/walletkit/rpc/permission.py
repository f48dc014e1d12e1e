"""Refuse a caller whose roles do not allow what he asks for, where no table of calls can tell."""

from walletkit.errors import ServiceError
from walletkit.principal import Role, current


def denied(needed: frozenset[Role]) -> ServiceError:
    """Say which roles allow it, one of them."""
    names = ", ".join(role.value for role in Role if role in needed)
    return ServiceError("PERMISSION_DENIED", f"this takes {names}", {"roles": names})


def require(needed: frozenset[Role]) -> None:
    """Raise ``ServiceError`` PERMISSION_DENIED unless the caller has one of these roles."""
    if current().roles.isdisjoint(needed):
        raise denied(needed)
