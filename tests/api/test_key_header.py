"""An idempotency key may come as the header `Idempotency-Key`: REST clients send it so."""

import pytest

from guilder.wallet.v1 import wallet_service_pb2 as pb
from tests.api import books
from tests.api.failures import failure_of, invalid
from tests.api.suite import Suite, money

HEADER = "idempotency-key"


async def test_header_is_the_key(suite: Suite) -> None:
    """The same header with the same request gets the first answer again; so does it as a field."""
    wallet = await suite.wallet(100)
    request = pb.DepositRequest(wallet_id=wallet, amount=money(5))
    first = await suite.stub.Deposit(request, metadata=((HEADER, "h-1"),))
    again = await suite.stub.Deposit(request, metadata=((HEADER, "h-1"),))
    request.idempotency_key = "h-1"
    as_field = await suite.stub.Deposit(request)
    assert not first.replayed
    assert again.replayed
    assert as_field.replayed
    assert {first.transaction.transaction_id} == {
        again.transaction.transaction_id,
        as_field.transaction.transaction_id,
    }


async def test_field_counts_beside_a_header(suite: Suite) -> None:
    """Where both are given the field is the key: another header does not make a second deposit."""
    wallet = await suite.wallet(100)
    request = pb.DepositRequest(wallet_id=wallet, amount=money(5), idempotency_key="f-1")
    await suite.stub.Deposit(request, metadata=((HEADER, "h-1"),))
    again = await suite.stub.Deposit(request, metadata=((HEADER, "h-2"),))
    assert again.replayed


@pytest.mark.parametrize("metadata", [(), ((HEADER, ""),), ((HEADER, "k" * 129),)])
async def test_no_key_or_a_malformed_one_is_refused(
    suite: Suite, metadata: tuple[tuple[str, str], ...]
) -> None:
    """Without a key, or with one that breaks the rule, nothing happens."""
    wallet = await suite.wallet(100)
    before = await books.rows_of(suite.urls)
    request = pb.DepositRequest(wallet_id=wallet, amount=money(5))
    failure = await failure_of(suite.stub.Deposit(request, metadata=metadata))
    assert failure == invalid("idempotency_key")
    assert await books.rows_of(suite.urls) == before


async def test_header_is_no_key_of_what_takes_none(suite: Suite) -> None:
    """Commands of a batch have keys of their own: a header stands for none of them."""
    wallet = await suite.wallet(100)
    one = pb.BatchCommand(deposit=pb.DepositRequest(wallet_id=wallet, amount=money(5)))
    reply = await suite.stub.BatchExecute(
        pb.BatchExecuteRequest(commands=[one]), metadata=((HEADER, "h-1"),)
    )
    assert reply.results[0].WhichOneof("result") == "error"
