"""GetTransactionFamily: hold, captures and refunds in one call, whichever of them is named."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc.aio

from guilder.events.v1 import record_pb2 as events
from guilder.ledger.v1 import ledger_service_pb2 as ledger
from guilder.ledger.v1 import ledger_service_pb2_grpc as ledger_stubs
from guilder.type.v1.position_pb2 import Position
from guilder.wallet.v1 import resources_pb2 as res
from tests.api import books
from tests.api.failures import Failure, failure_of, invalid, missing
from tests.api.suite import Suite, money, running
from walletkit.ids import format_id, new_id, parse_id

Asked = ledger.ListTransactionsRequest


class Journal(ledger_stubs.LedgerServiceServicer):
    """A ledger that has heard of some transactions, and notes what it is asked."""

    def __init__(self) -> None:
        """Begin with nothing heard."""
        self.heard: list[ledger.JournalTransaction] = []
        self.asked: list[Asked] = []

    def hear(self, made: res.Transaction) -> None:
        """Hear of a transaction that the wallets made."""
        source, destination = parse_id(made.source_wallet_id), parse_id(made.destination_wallet_id)
        posting = events.Posting(
            source=source,
            destination=destination,
            currency_code=made.amount.currency_code,
            amount_minor=made.amount.amount_minor,
        )
        transaction = events.Transaction(
            transaction_id=parse_id(made.transaction_id),
            type=events.TransactionType.ValueType(made.type),
            state=events.TransactionState.ValueType(made.state),
            source=source,
            destination=destination,
            postings=[posting],
            reference=made.reference.encode(),
            parent_id=parse_id(made.parent_id),
            family_id=parse_id(made.family_id),
            opaque=json.dumps({"a": made.actor, "r": made.reason}).encode(),
        )
        # Newest first.
        self.heard.insert(
            0, ledger.JournalTransaction(transaction=transaction, create_time=made.create_time)
        )

    async def ListTransactions(  # noqa: N802  # gRPC's name
        self,
        request: Asked,
        context: object,  # noqa: ARG002  # gRPC's signature
    ) -> ledger.ListTransactionsResponse:
        """Return all that was heard of the family."""
        self.asked.append(request)
        family = parse_id(request.family_id)
        found = [one for one in self.heard if one.transaction.family_id == family]
        return ledger.ListTransactionsResponse(transactions=found)


@asynccontextmanager
async def with_journal(suite: Suite) -> AsyncIterator[tuple[Suite, Journal]]:
    """Run the service beside a ledger."""
    server = grpc.aio.server()
    journal = Journal()  # type: ignore[abstract]  # of the ledger's calls only one is asked for
    ledger_stubs.add_LedgerServiceServicer_to_server(journal, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with running(suite.urls, ledger_address=f"127.0.0.1:{port}") as other:
            yield other, journal
    finally:
        await server.stop(1)


async def test_t24_family_of_a_hold(suite: Suite) -> None:
    """Named by any member: the hold and all that followed, oldest first, each once."""
    wallet, shop = await suite.wallet(100), await suite.wallet(shard=1)
    async with with_journal(suite) as (service, journal):
        hold = await service.authorize(wallet, 50, destination_wallet_id=shop)
        made = [
            (
                await service.do("CaptureHold", hold_id=hold.hold_id, amount=money(amount))
            ).transaction
            for amount in (10, 20)
        ]
        for original in made[:2]:
            back = {"transaction_id": original.transaction_id, "amount": money(1)}
            made.append((await service.do("ReverseTransaction", **back)).transaction)
        await books.settled(suite.urls)
        for transaction in made:
            journal.hear(transaction)
        now = (await service.do("GetHold", hold_id=hold.hold_id)).hold
        for id_ in (hold.hold_id, *[one.transaction_id for one in made]):
            reply = await service.do(
                "GetTransactionFamily", id=id_, min_position=Position(shard=0, seq=1)
            )
            assert reply.hold == now
            assert list(reply.transactions) == made
        assert {one.family_id for one in journal.asked} == {hold.hold_id}
        assert {one.min_position.seq for one in journal.asked} == {1}


async def test_family_while_the_ledger_lags(suite: Suite) -> None:
    """The first transaction and the one that is named are there, whatever the ledger has heard."""
    payer, payee = await suite.wallet(100), await suite.wallet()
    async with with_journal(suite) as (service, _):
        first = (await service.transfer(payer, payee, 10)).transaction
        back = {"transaction_id": first.transaction_id, "amount": money(1)}
        refund = (await service.do("ReverseTransaction", **back)).transaction
        reply = await service.do("GetTransactionFamily", id=refund.transaction_id)
        assert list(reply.transactions) == [first, refund]
        assert not reply.HasField("hold")
        reply = await service.do("GetTransactionFamily", id=first.transaction_id)
        assert list(reply.transactions) == [first]


async def test_family_of_nobody_or_without_a_ledger(suite: Suite) -> None:
    """Unknown ids are NOT_FOUND; where the ledger is down that is said."""
    nobody = format_id(new_id(5))
    unknown = suite.do("GetTransactionFamily", id=nobody)
    assert await failure_of(unknown) == missing("TRANSACTION_NOT_FOUND", transaction_id=nobody)
    assert await failure_of(suite.do("GetTransactionFamily", id="x")) == invalid("id")
    made = (await suite.deposit(await suite.wallet(), 1)).transaction
    call = suite.do("GetTransactionFamily", id=made.transaction_id)
    assert await failure_of(call) == Failure("UNAVAILABLE", "LEDGER_UNAVAILABLE", {})
