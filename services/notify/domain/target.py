"""Say where webhooks may go.

Pure: names are resolved elsewhere, and each address is judged here again.

A private, loopback or link-local target would let a subscriber reach what only we can reach (SSRF).
"""

import socket
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from urllib.parse import urlsplit

MAX_URL_LENGTH = 2_048

_LOCAL_NAMES = ("localhost", "localdomain", "local", "internal")
# RFC 6052: an IPv4 address in the last four bytes, reached through a translator of our network.
_NAT64 = IPv6Network("64:ff9b::/96")


def url_fault(url: str, *, allow_private: bool) -> str | None:
    """Return the rule that a target's URL breaks, or None."""
    if not 0 < len(url) <= MAX_URL_LENGTH:
        return f"must have 1 to {MAX_URL_LENGTH} characters"
    if not all("!" <= letter <= "~" for letter in url) or "\\" in url:
        return "must be printable ASCII without spaces and backslashes"
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return "must be a well-formed URL"
    if parts.scheme not in {"http", "https"}:
        return "must begin with http:// or https://"
    if not host or port == 0:
        return "must name a host, and a port from 1 to 65535 if any"
    if parts.username is not None or parts.password is not None:
        return "must not carry a user or password"
    if not allow_private and is_private_host(host):
        return "must not be a private, loopback or link-local address"
    return None


def is_private_host(host: str) -> bool:
    """Tell whether a host is, by its text alone, not a public one.

    A name can still resolve to one.
    """
    address = _literal(host)
    if address is not None:
        return is_private_address(address)
    labels = host.rstrip(".").lower().split(".")
    return labels[-1] in _LOCAL_NAMES


def is_private_address(address: IPv4Address | IPv6Address) -> bool:
    """Tell whether an address is anything but a public unicast one, whatever it is wrapped in."""
    if isinstance(address, IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if inner is None and address in _NAT64:
            inner = IPv4Address(address.packed[-4:])
        if inner is not None:
            return is_private_address(inner)
        if address.is_site_local or address.teredo is not None:
            return True
    return not address.is_global or address.is_multicast or address.is_reserved


def _literal(host: str) -> IPv4Address | IPv6Address | None:
    """Read an address, in the old forms that resolvers take too: 127.1, 0x7f000001, 2130706433."""
    try:
        return ip_address(host)
    except ValueError:
        pass
    try:
        return IPv4Address(socket.inet_aton(host))
    except (OSError, UnicodeError):
        return None
