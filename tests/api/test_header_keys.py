"""An idempotency key that comes as metadata, which is what REST's header becomes."""

import pytest

from guilder.wallet.v1 import wallet_service_pb2 as pb
from tests.api.failures import KEY_REUSED, failure_of, invalid
from tests.api.suite import TIMEOUT_S, Suite, money

Metadata = tuple[tuple[str, str], ...]


def header(*keys: str) -> Metadata:
    """Return the metadata that a header becomes."""
    return tuple(("idempotency-key", key) for key in keys)


async def deposit(
    suite: Suite, wallet: str, amount: int, metadata: Metadata, key: str = ""
) -> pb.DepositResponse:
    """Deposit with a key in the request, the metadata, or both."""
    request = pb.DepositRequest(wallet_id=wallet, amount=money(amount, "EUR"), idempotency_key=key)
    return await suite.stub.Deposit(request, timeout=TIMEOUT_S, metadata=metadata)


async def test_it_is_the_requests_key(suite: Suite) -> None:
    """The same key in the one place or the other is one key; another request with it is refused."""
    wallet = await suite.wallet()
    first = await deposit(suite, wallet, 5, header("h-1"))
    by_field = await deposit(suite, wallet, 5, (), "h-1")
    by_both = await deposit(suite, wallet, 5, header("h-1", "h-1"), "h-1")
    assert [first.replayed, by_field.replayed, by_both.replayed] == [False, True, True]
    assert first.transaction == by_field.transaction == by_both.transaction
    assert await failure_of(deposit(suite, wallet, 6, header("h-1"))) == KEY_REUSED
    assert await suite.posted(wallet) == 5


@pytest.mark.parametrize(("key", "keys"), [("f", ("h",)), ("", ("h", "i")), ("h", ("h", "i"))])
async def test_two_different_keys_are_refused(
    suite: Suite, key: str, keys: tuple[str, ...]
) -> None:
    """Nobody can know which of them was meant."""
    wallet = await suite.wallet()
    refused = await failure_of(deposit(suite, wallet, 5, header(*keys), key))
    assert refused == invalid("idempotency_key")
    assert await suite.posted(wallet) == 0


@pytest.mark.parametrize("key", ["", "k" * 129])
async def test_it_has_the_rules_of_every_key(suite: Suite, key: str) -> None:
    """Empty or too long is refused as in the field."""
    wallet = await suite.wallet()
    refused = await failure_of(deposit(suite, wallet, 5, header(key)))
    assert refused == invalid("idempotency_key")


async def test_calls_without_a_key_ignore_it(suite: Suite) -> None:
    """A read has none to take, and neither has a batch, whose parts have their own."""
    wallet = await suite.wallet(7)
    request = pb.GetBalanceRequest(wallet_id=wallet)
    reply = await suite.stub.GetBalance(request, timeout=TIMEOUT_S, metadata=header("h"))
    assert reply.balance.posted_minor == 7
    part = suite.transfer_request(wallet, await suite.wallet(), 3, idempotency_key="part")
    batch = pb.BatchTransferRequest(transfers=[part])
    results = await suite.stub.BatchTransfer(batch, timeout=TIMEOUT_S, metadata=header("h"))
    assert not results.results[0].response.replayed
    again = await suite.stub.Transfer(part, timeout=TIMEOUT_S)
    assert again.replayed
