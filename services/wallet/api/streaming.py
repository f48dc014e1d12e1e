"""Answer the messages of a stream, each when it is done, without waiting for the next. No SQL."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar

Request = TypeVar("Request")
Response = TypeVar("Response")


async def answered(
    requests: AsyncIterator[Request], answer: Callable[[Request], Awaitable[Response]], most: int
) -> AsyncIterator[Response]:
    """Yield the answers as they finish; at most ``most`` messages are worked on at once.

    The first answer that raises ends the stream.
    """
    under_way: set[asyncio.Future[Response]] = set()
    reading: asyncio.Task[Request | None] | None = asyncio.create_task(_next(requests))
    more = True
    try:
        while more or under_way:
            waiting: set[asyncio.Future[Any]] = {*under_way}
            if reading is not None:
                waiting.add(reading)
            done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            if reading is not None and reading.done():
                request, reading = reading.result(), None
                more = request is not None
                if request is not None:
                    under_way.add(asyncio.ensure_future(answer(request)))
            for finished in [one for one in under_way if one in done]:
                under_way.discard(finished)
                yield finished.result()
            if reading is None and more and len(under_way) < most:
                reading = asyncio.create_task(_next(requests))
    finally:
        for task in (*under_way, reading):
            if task is not None:
                task.cancel()


async def _next(requests: AsyncIterator[Request]) -> Request | None:
    """Return the next message, or None at the end of the stream."""
    return await anext(requests, None)
