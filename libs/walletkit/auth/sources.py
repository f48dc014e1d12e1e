"""Fetch a JWKS: from a file, or over HTTP within a deadline. Whole and bounded, or not at all."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from walletkit.auth.jwks import MAX_BYTES

if TYPE_CHECKING:
    import aiohttp

FETCH_TIMEOUT_S = 3.0
"""Of one fetch, all in all."""

Fetch = Callable[[], Awaitable[bytes]]


class FetchError(RuntimeError):
    """A JWKS could not be fetched; the message says why."""


def is_url(place: str) -> bool:
    """Tell whether a JWKS is fetched over HTTP; else it is a file."""
    return place.startswith(("https://", "http://"))


def fetch_of(place: str) -> Fetch:
    """Return what fetches the JWKS of a place: a path or a URL. It raises ``FetchError``."""
    return partial(_from_url, place) if is_url(place) else partial(_from_file, Path(place))


async def _from_file(path: Path) -> bytes:
    try:
        async with asyncio.timeout(FETCH_TIMEOUT_S):
            return await asyncio.to_thread(_read, path)
    except (OSError, TimeoutError) as error:
        raise FetchError(str(error) or "reading took too long") from error


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(MAX_BYTES + 1)


async def _from_url(url: str) -> bytes:
    import aiohttp  # noqa: PLC0415  # costs a start 0.2 s, and most read a file

    timeout = aiohttp.ClientTimeout(total=FETCH_TIMEOUT_S)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            # Where it leads to is for the operator to say, not for a reply.
            session.get(url, allow_redirects=False) as response,
        ):
            if response.status != 200:  # noqa: PLR2004  # OK
                raise FetchError(f"HTTP status {response.status}")
            return await _body(response)
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
        raise FetchError(str(error) or type(error).__name__) from error


async def _body(response: "aiohttp.ClientResponse") -> bytes:
    """Read at most one byte more than may be."""
    parts = bytearray()
    async for part in response.content.iter_chunked(65_536):
        parts += part
        if len(parts) > MAX_BYTES:
            break
    return bytes(parts)
