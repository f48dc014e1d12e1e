"""The blocking client: the same retries and errors, from any thread, and it always ends."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from google.protobuf.message import Message

from guilder.client import Addresses, InsufficientFundsError, OutcomeUnknownError
from guilder.client.streams import STREAM_WINDOW
from guilder.client.sync import Guilder
from guilder.client.threads import EventLoopThread, pulled
from guilder.notify.v1.notify_service_pb2 import Event, WatchResponse
from guilder.wallet.v1.resources_pb2 import Wallet
from guilder.wallet.v1.wallet_service_pb2 import ListWalletsResponse, TransferRequest
from tests.client.batch_samples import transfers
from tests.client.fake_wallet import Context, FakeWallet, empty, serving_sync, unavailable
from tests.client.test_batches import answer_message
from walletkit.errors import ServiceError

EURO = ("EUR", 100)


class Silent(FakeWallet):
    """Never answers, and says when it was asked."""

    def __init__(self) -> None:
        """Be asked by nobody yet."""
        super().__init__(empty)
        self.asked = threading.Event()

    async def unary(self, request: Message, _context: Context) -> Message:
        """Wait for ever."""
        self.asked.set()
        await asyncio.Event().wait()
        return request


def client_threads() -> list[threading.Thread]:
    """List the threads of blocking clients."""
    return [item for item in threading.enumerate() if item.name.startswith("guilder-client")]


def test_a_call_waits_and_is_tried_again_with_its_key() -> None:
    """The retries are those of the async client: there is no other implementation."""
    fake = FakeWallet(unavailable, empty)
    with serving_sync(fake) as guilder:
        assert not guilder.wallet.deposit("w", EURO).replayed
        assert guilder.healthy()
        guilder.wait_ready(5)
    first, second = fake.requests
    assert first == second
    assert first.idempotency_key


def test_an_error_is_the_same_exception() -> None:
    """A decline comes out of the call with reason and values."""

    def declined(_request: Message) -> Message:
        raise ServiceError("INSUFFICIENT_FUNDS", "no", {"available_minor": "1"})

    fake = FakeWallet(declined)
    with serving_sync(fake) as guilder, pytest.raises(InsufficientFundsError) as caught:
        guilder.holds.authorize("w", EURO)
    assert caught.value.metadata == {"available_minor": "1"}


def test_pages_are_a_plain_iterator() -> None:
    """Pages are fetched as the loop goes on, and none behind where it was left."""

    def page(request: Any) -> Message:  # noqa: ANN401 - of that call
        number = int(request.page_token or "0")
        wallets = [Wallet(wallet_id=str(number))]
        return ListWalletsResponse(wallets=wallets, next_page_token=str(number + 1))

    fake = FakeWallet(page)
    with serving_sync(fake) as guilder:
        assert [item.wallet_id for item in guilder.wallet.list_wallets("a", limit=3)] == [*"012"]
        found = guilder.wallet.list_wallets("a")
        assert next(found).wallet_id == "0"
        assert len(fake.requests) == 4
        found.close()
        assert list(found) == []


def test_a_stream_of_transfers_reads_a_plain_iterable() -> None:
    """Batches are read while answers come; a source may wait for the answer to what it gave."""
    answered = threading.Event()

    def batches() -> Iterator[list[TransferRequest]]:
        yield transfers(2)
        assert answered.wait(10)
        for number in range(STREAM_WINDOW * 2):
            yield transfers(2, number)

    with serving_sync(FakeWallet(answer_message)) as guilder:
        answers = guilder.wallet.stream_transfers(batches())
        assert len(next(answers).outcomes) == 2
        answered.set()
        assert sum(1 for _ in answers) == STREAM_WINDOW * 2


def test_a_source_that_fails_fails_the_stream() -> None:
    """The error of the caller's own iterable comes back to the caller."""

    def batches() -> Iterator[list[TransferRequest]]:
        yield transfers(1)
        raise LookupError("no more rows")

    fake = FakeWallet(answer_message)
    with serving_sync(fake) as guilder, pytest.raises(LookupError, match="no more rows"):
        _ = list(guilder.wallet.stream_transfers(batches()))


def test_many_threads_share_one_client() -> None:
    """Calls of several threads run at once, over one background thread."""
    fake = FakeWallet(empty)
    with serving_sync(fake) as guilder, ThreadPoolExecutor(8) as pool:
        before = len(client_threads())
        futures = [pool.submit(guilder.wallet.deposit, "w", EURO) for _ in range(200)]
        assert all(not future.result().replayed for future in futures)
        assert len(client_threads()) == before
    assert len({request.idempotency_key for request in fake.requests}) == 200


def test_an_interrupt_ends_the_call_at_once() -> None:
    """Ctrl-C reaches a caller that waits; the client works on afterwards."""
    fake = Silent()

    def interrupt() -> None:
        assert fake.asked.wait(10)
        main = threading.main_thread().ident
        assert main is not None
        signal.pthread_kill(main, signal.SIGINT)

    with serving_sync(fake) as guilder:
        threading.Thread(target=interrupt, daemon=True).start()
        with pytest.raises(KeyboardInterrupt):
            guilder.wallet.get_wallet("w", timeout_seconds=60)
        assert guilder.healthy()


def test_closing_ends_what_other_threads_wait_for() -> None:
    """A call that is in flight when another thread closes has no known outcome."""
    fake = Silent()
    with serving_sync(fake) as guilder, ThreadPoolExecutor(1) as pool:
        call = pool.submit(guilder.wallet.deposit, "w", EURO, timeout_seconds=60)
        assert fake.asked.wait(10)
        begun = time.monotonic()
        guilder.close()
        with pytest.raises(OutcomeUnknownError):
            call.result(10)
    assert time.monotonic() - begun < 5


def test_a_watch_that_is_left_does_not_keep_the_client_open() -> None:
    """An iterator without an end is simply dropped."""

    class Events(FakeWallet):
        async def parts(self, _request: Message, _context: Context) -> Any:  # noqa: ANN401
            yield WatchResponse(event=Event(event_id="e"), cursor="1")
            await asyncio.Event().wait()

    begun = time.monotonic()
    with serving_sync(Events(empty)) as guilder:
        for response in guilder.notify.watch():
            assert response.event.event_id == "e"
            break
    assert time.monotonic() - begun < 5


def test_closing_is_final_and_may_be_repeated() -> None:
    """No thread stays behind; what comes later is refused, and waits for nothing."""
    before = len(client_threads())
    guilder = Guilder()
    guilder.close()
    guilder.close()
    assert len(client_threads()) == before
    with pytest.raises(RuntimeError, match="closed"):
        guilder.wallet.get_wallet("w")
    with pytest.raises(RuntimeError, match="closed"):
        _ = list(guilder.wallet.list_wallets("a"))


def test_a_client_does_not_survive_a_fork(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a child there is no thread that would answer: a clear error instead of a hang."""
    nowhere = "127.0.0.1:1"
    with Guilder(Addresses(nowhere, nowhere, nowhere)) as guilder:
        with monkeypatch.context() as child:
            child.setattr(os, "getpid", lambda: -1)
            with pytest.raises(RuntimeError, match="fork"):
                guilder.wallet.get_wallet("w")
            guilder.close()
        assert not guilder.healthy(timeout_seconds=0.1)


def test_the_loop_does_not_wait_for_itself() -> None:
    """A call from within the client's own thread is refused: nobody could answer it."""
    thread = EventLoopThread()

    async def nothing() -> None:
        pass

    async def inside() -> None:
        thread.run(nothing())

    try:
        with pytest.raises(RuntimeError, match="wait for itself"):
            thread.run(inside())
    finally:
        thread.close(nothing())


async def test_an_iterable_that_waits_blocks_no_loop() -> None:
    """While a source waits the loop goes on."""
    gate = threading.Event()

    def source() -> Iterator[int]:
        yield 1
        assert gate.wait(10)
        yield 2

    items = pulled(source())
    assert await anext(items) == 1
    second = asyncio.ensure_future(anext(items))
    await asyncio.sleep(0.05)
    assert not second.done()
    gate.set()
    assert await second == 2
    assert await anext(items, None) is None


def test_a_program_that_forgets_to_close_ends() -> None:
    """The thread keeps no process alive, and says nothing at its end."""
    code = (
        "from guilder.client.sync import Guilder\n"
        "guilder = Guilder()\n"
        "guilder.healthy(timeout_seconds=0.1)\n"
        "print('done')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")
