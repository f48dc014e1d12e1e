"""Resolve webhook hosts and refuse private addresses.

The address that was checked is the one connected to.
"""

import asyncio
import errno
import socket
from ipaddress import ip_address

from aiohttp.abc import AbstractResolver, ResolveResult

from notify.domain.target import is_private_address


class PrivateTargetError(OSError):
    """The host resolves to an address that only we could reach."""


class CheckedResolver(AbstractResolver):
    """Asks the system, and gives aiohttp only what passed.

    One private address among many refuses all of them.
    """

    def __init__(self, *, allow_private: bool) -> None:
        self._allow_private = allow_private

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the addresses of a host. Raise ``OSError``, ``PrivateTargetError`` among them."""
        loop = asyncio.get_running_loop()
        infos = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, family=family)
        return [self._checked(host, info[0], info[2], info[4]) for info in infos]

    async def close(self) -> None:
        """Close nothing: the system's resolver keeps nothing open."""

    def _checked(
        self, host: str, family: socket.AddressFamily, proto: int, address: tuple[object, ...]
    ) -> ResolveResult:
        # A link-local IPv6 address carries its interface behind a percent sign; ipaddress reads
        # that.
        text, port = str(address[0]), int(str(address[1]))
        if not self._allow_private and is_private_address(ip_address(text)):
            raise PrivateTargetError(errno.EACCES, f"{host} resolves to a private address")
        return ResolveResult(
            hostname=host,
            host=text,
            port=port,
            family=family,
            proto=proto,
            flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
        )
