"""Run coroutines on a background event loop, and wait for them. Client room: knows no service.

What the sync client stands on. ``blocking`` and ``iterating`` turn a method of an async client into
one that waits, with the same parameters, types and docstring: there is no second implementation.
"""

import asyncio
import concurrent.futures
import functools
import os
import threading
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Callable,
    Coroutine,
    Generator,
    Iterable,
)
from contextlib import suppress
from enum import Enum
from typing import Any, Concatenate, Final, ParamSpec, Protocol, TypeVar

import grpc

from guilder.client.errors import OutcomeUnknownError

CLOSE_TIMEOUT_SECONDS = 5.0
"""How long closing waits for the thread; it is a daemon, so it never keeps a process alive."""

P = ParamSpec("P")
T = TypeVar("T")
C = TypeVar("C")
C_co = TypeVar("C_co", covariant=True)


class _End(Enum):
    END = 0


_END: Final = _End.END


class EventLoopThread:
    """One event loop in one daemon thread; any number of threads may wait for it.

    Belongs to the process that made it: behind a fork there is no such thread.
    """

    def __init__(self) -> None:
        """Start the thread."""
        self._loop = asyncio.new_event_loop()
        self._pid = os.getpid()
        self._closed = False
        self._waited_for: set[concurrent.futures.Future[Any]] = set()
        # Reentrant: a garbage collection inside may close an iterator of the same thread.
        self._lock = threading.RLock()
        self._thread = threading.Thread(target=self._run, name="guilder-client", daemon=True)
        self._thread.start()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Wait for a coroutine; an interrupt of the waiting thread cancels it."""
        future = self._submit(coroutine)
        try:
            return future.result()
        except concurrent.futures.CancelledError:
            code = grpc.StatusCode.CANCELLED
            message = "the client was closed during the call"
            raise OutcomeUnknownError(code, code.name, message) from None
        except BaseException:
            future.cancel()
            raise

    def iterate(self, source: AsyncIterator[T]) -> Generator[T]:
        """Yield what an async iterator gives; leaving early closes it."""
        try:
            while (item := self.run(_next_of(source))) is not _END:
                yield item
        finally:
            if isinstance(source, AsyncGenerator):
                # Not waited for: this may be a garbage collection, in whatever thread.
                with suppress(RuntimeError):
                    self._submit(_close_of(source), from_inside=True)

    def close(self, last: Coroutine[Any, Any, None]) -> None:
        """Run ``last``, cancel what else runs, and end the thread; again is nothing new."""
        if os.getpid() != self._pid:
            last.close()
            return
        with self._lock:
            if self._closed:
                last.close()
                return
            # What was submitted before is in the loop's queue before this, and nothing comes after.
            asyncio.run_coroutine_threadsafe(self._finish(last), self._loop)
            self._closed = True
        self._thread.join(CLOSE_TIMEOUT_SECONDS)

    def _submit(
        self, coroutine: Coroutine[Any, Any, T], *, from_inside: bool = False
    ) -> concurrent.futures.Future[T]:
        """Hand a coroutine to the loop; ``RuntimeError`` where waiting for it would never end."""
        obstacle = self._obstacle(from_inside=from_inside)
        if obstacle is None:
            with self._lock:
                if not self._closed:
                    future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
                    self._waited_for.add(future)
                    future.add_done_callback(self._waited_for.discard)
                    return future
                obstacle = "the client is closed"
        coroutine.close()
        raise RuntimeError(obstacle)

    def _obstacle(self, *, from_inside: bool) -> str | None:
        """Say what is wrong with the place of a call; before the lock, which a fork may break."""
        if os.getpid() != self._pid:
            return "the client was made before a fork: make one in each process, after it"
        if threading.current_thread() is self._thread and not from_inside:
            return "the client's own event loop can't wait for itself"
        return None

    async def _finish(self, last: Coroutine[Any, Any, None]) -> None:
        try:
            await last
        finally:
            rest = asyncio.all_tasks() - {asyncio.current_task()}
            for task in rest:
                task.cancel()
            await asyncio.gather(*rest, return_exceptions=True)
            await self._loop.shutdown_asyncgens()
            await asyncio.sleep(0)  # what has just ended tells those who wait for it
            self._loop.stop()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
            self._loop.close()
        finally:  # nobody waits for a loop that is gone
            for future in list(self._waited_for):
                future.cancel()


class Facade(Protocol[C_co]):
    """What a sync client consists of: the async one, and the thread that it lives in."""

    @property
    def _client(self) -> C_co: ...

    @property
    def _thread(self) -> EventLoopThread: ...


def blocking(
    method: Callable[Concatenate[C, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate[Facade[C], P], T]:
    """Make a method that waits out of a coroutine method."""

    @functools.wraps(method)
    def call(self: Facade[C], /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self._thread.run(method(self._client, *args, **kwargs))

    return call


def iterating(
    method: Callable[Concatenate[C, P], AsyncIterator[T]],
) -> Callable[Concatenate[Facade[C], P], Generator[T]]:
    """Make a method that gives a plain iterator out of one that gives an async iterator."""

    @functools.wraps(method)
    def call(self: Facade[C], /, *args: P.args, **kwargs: P.kwargs) -> Generator[T]:
        return self._thread.iterate(method(self._client, *args, **kwargs))

    return call


async def pulled(source: Iterable[T]) -> AsyncGenerator[T]:
    """Yield what a plain iterable gives, which may take its time: each step has a thread."""
    items = iter(source)
    while (item := await _in_thread(functools.partial(next, items, _END))) is not _END:
        yield item


async def _in_thread(step: Callable[[], T]) -> T:
    """Run a step in a thread that no shutdown waits for, unlike those of an executor."""
    loop = asyncio.get_running_loop()
    outcome: concurrent.futures.Future[T] = concurrent.futures.Future()

    def work() -> None:
        # Nobody waits any more where the outcome is cancelled or its loop closed.
        with suppress(concurrent.futures.InvalidStateError, RuntimeError):
            try:
                result = step()
            except BaseException as error:  # noqa: BLE001 - it is the waiting task's
                outcome.set_exception(error)
            else:
                outcome.set_result(result)

    threading.Thread(target=work, name="guilder-client-source", daemon=True).start()
    return await asyncio.wrap_future(outcome, loop=loop)


async def _next_of(source: AsyncIterator[T]) -> T | _End:
    return await anext(source, _END)


async def _close_of(source: AsyncGenerator[Any]) -> None:
    with suppress(RuntimeError):  # it still runs: cancelled, and so about to close itself
        await source.aclose()
