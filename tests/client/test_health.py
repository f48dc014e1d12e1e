"""Readiness is asked by the health protocol, and waited for no longer than said."""

import asyncio
import time

import pytest

from guilder.client import Addresses, Guilder, UnavailableError
from tests.client.fake_wallet import FakeWallet, empty, listening, serving

LEDGER = "guilder.ledger.v1.LedgerService"


async def test_a_suite_that_serves_is_ready() -> None:
    """With all services serving both answers are yes, at once."""
    async with serving(FakeWallet(empty)) as guilder:
        await guilder.wait_ready(5)
        assert await guilder.healthy()


async def test_a_service_that_does_not_serve_is_named() -> None:
    """One service that is not ready makes the suite not ready; the others can be asked alone."""
    fake = FakeWallet(empty)
    fake.not_serving.add(LEDGER)
    async with serving(fake) as guilder:
        assert not await guilder.healthy()
        assert await guilder.healthy(["wallet", "notify"])
        await guilder.wait_ready(5, ["wallet"])
        with pytest.raises(UnavailableError) as caught:
            await guilder.wait_ready(0.2)
    assert caught.value.metadata == {"services": "ledger"}


async def test_nobody_there_is_not_healthy() -> None:
    """A port without a service is an answer, not an error; waiting for it ends in time."""
    nowhere = "127.0.0.1:1"
    async with Guilder(Addresses(nowhere, nowhere, nowhere)) as guilder:
        assert not await guilder.healthy(timeout_seconds=0.2)
        begun = time.monotonic()
        with pytest.raises(UnavailableError, match="wallet, ledger, notify"):
            await guilder.wait_ready(0.3)
    assert time.monotonic() - begun < 3


async def test_waiting_ends_when_the_service_comes() -> None:
    """Whoever waits before the service listens goes on when it does."""
    async with listening(FakeWallet(empty)) as addresses:
        pass
    async with Guilder(addresses) as guilder:
        waiting = asyncio.create_task(guilder.wait_ready(10))
        await asyncio.sleep(0.3)
        assert not waiting.done()
        async with listening(FakeWallet(empty), addresses.wallet):
            await waiting
            assert await guilder.healthy()
