"""Callers with roles: the server believes what metadata says, as if a token had proved it."""

from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import grpc.aio

from walletkit.principal import Principal, Role, become

_CLIENT, _ROLES, _ACCOUNT = "x-test-client", "x-test-roles", "x-test-account"

Metadata = tuple[tuple[str, str], ...]


class Claims(grpc.aio.ServerInterceptor):
    """Serves a call on behalf of whom its metadata names; without these it is trusted."""

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:  # noqa: ANN401  # gRPC's handler
        """Become the caller."""
        said = {
            name: value
            for name, value in handler_call_details.invocation_metadata
            if isinstance(value, str)
        }
        if _ROLES in said:
            roles = frozenset(Role(name) for name in said[_ROLES].split(",") if name)
            become(Principal(said[_CLIENT], roles, said[_ACCOUNT]))
        return await continuation(handler_call_details)


def claim(*roles: Role, account: str = "", client: str = "web") -> Metadata:
    """Write what a caller's metadata says."""
    return ((_CLIENT, client), (_ROLES, ",".join(roles)), (_ACCOUNT, account))


def customer(account: str, client: str = "web") -> Metadata:
    """Write a customer's metadata."""
    return claim(Role.CUSTOMER, account=account, client=client)
