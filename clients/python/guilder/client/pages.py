"""Walk pages as one async iterator. Client room: knows no message of any service."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import TypeVar

T = TypeVar("T")

PAGE_SIZE = 200
"""How much is asked for at once; services give at most 1,000."""


async def walk(
    fetch: Callable[[str], Awaitable[tuple[Sequence[T], str]]], limit: int | None = None
) -> AsyncIterator[T]:
    """Yield the items of page after page, at most ``limit``.

    ``fetch`` is given a page token and gives items and the next token, which is empty on the last
    page. A token that does not change would never end: ``RuntimeError``.
    """
    token, given = "", 0
    while True:
        items, next_token = await fetch(token)
        for item in items:
            if given == limit:
                return
            yield item
            given += 1
        if not next_token or given == limit:
            return
        if next_token == token:
            message = "the service gave the same page token twice"
            raise RuntimeError(message)
        token = next_token


def page_size(limit: int | None) -> int:
    """Return how much to ask for at once when ``limit`` items are wanted in all."""
    return PAGE_SIZE if limit is None else max(1, min(PAGE_SIZE, limit))
