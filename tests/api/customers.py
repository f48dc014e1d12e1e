"""Three accounts for the tests of what a customer reaches: one's own, a near and a far other one.

The near one's wallets have the same slot as one's own, so that only a look at the shard tells whose
they are; the far one lives on another shard.
"""

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import grpc.aio
import pytest

from guilder.events.v1 import record_pb2 as events
from guilder.ledger.v1 import ledger_service_pb2 as ledger
from guilder.ledger.v1 import ledger_service_pb2_grpc as ledger_stubs
from guilder.wallet.v1 import resources_pb2 as res
from tests.api import books as money_books
from tests.api.failures import Failure, of_error
from tests.api.suite import TIMEOUT_S, Suite, money, running
from tests.api.test_families import Asked, Journal
from tests.claims import Claims, Metadata, customer
from walletkit.ids import format_id, new_id, parse_id, slot_of_account

MISSES = {"WALLET_NOT_FOUND", "HOLD_NOT_FOUND", "TRANSACTION_NOT_FOUND"}


class Books(Journal):
    """A ledger that lists all that it has heard, whatever it is asked for but a family."""

    def hear(self, made: res.Transaction) -> None:
        """Hear of a transaction with all its postings; one without a parent has no family."""
        if made.parent_id:
            super().hear(made)
            return
        postings = [
            events.Posting(
                source=parse_id(one.source_wallet_id),
                destination=parse_id(one.destination_wallet_id),
                currency_code=one.amount.currency_code,
                amount_minor=one.amount.amount_minor,
            )
            for one in made.postings
        ]
        transaction = events.Transaction(
            transaction_id=parse_id(made.transaction_id),
            type=events.TransactionType.ValueType(made.type),
            state=events.TransactionState.ValueType(made.state),
            source=postings[0].source,
            destination=postings[0].destination,
            postings=postings,
        )
        item = ledger.JournalTransaction(transaction=transaction, create_time=made.create_time)
        self.heard.insert(0, item)

    async def ListTransactions(  # noqa: N802  # gRPC's name
        self, request: Asked, context: object
    ) -> ledger.ListTransactionsResponse:
        """Return what was heard."""
        if request.family_id:
            return await super().ListTransactions(request, context)
        self.asked.append(request)
        return ledger.ListTransactionsResponse(transactions=self.heard)


@dataclass
class Account:
    """An account with what can be asked for: by ids that exist, or that nobody has."""

    name: str
    wallet: str
    spare: str
    """Its second wallet."""
    alias: str
    hold: str
    transaction: str
    """What came to its wallet, from another account than one's own."""


def nobody(name: str, like: Account) -> Account:
    """Return an account of which nothing exists, with ids of the same slot as another's."""
    slot = slot_of_account(like.name)
    ids = [format_id(new_id(slot)) for _ in range(4)]
    return Account(name, ids[0], ids[1], f"alias:{name}/main", ids[2], ids[3])


@dataclass
class World:
    """A service that knows its callers, and the accounts."""

    suite: Suite
    books: Books
    own: Account
    near: Account
    far: Account

    async def call(self, who: Metadata, method: str, /, **fields: Any) -> Any:  # noqa: ANN401  # any reply
        """Make a call as somebody."""
        request = self.suite.ask(method, **fields)
        call = getattr(self.suite.stub, method)
        return await call(request, timeout=TIMEOUT_S, metadata=who)

    async def do(self, method: str, /, **fields: Any) -> Any:  # noqa: ANN401
        """Make a call as one's own account's customer."""
        return await self.call(customer(self.own.name), method, **fields)

    async def refused(self, method: str, /, **fields: Any) -> Failure:  # noqa: ANN401
        """Make a call as the customer that must fail."""
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await self.do(method, **fields)
        return of_error(caught.value)

    async def answer(self, method: str, /, **fields: Any) -> str:  # noqa: ANN401
        """Return all that a call answers, whether it succeeds or not, ids left out."""
        given = [text for text in _texts(fields) if len(text) > len("alias:")]
        try:
            told = str(await self.do(method, **fields))
        except grpc.aio.AioRpcError as error:
            told = f"{error.code()} {error.details()} {of_error(error)}"
        for text in sorted(given, key=len, reverse=True):
            told = told.replace(text, "…")
        return told


@asynccontextmanager
async def customers(suite: Suite) -> AsyncIterator[World]:
    """Run the service with callers that it knows, beside a ledger."""
    server = grpc.aio.server()
    books = Books()  # type: ignore[abstract]  # of the ledger's calls only one is asked for
    ledger_stubs.add_LedgerServiceServicer_to_server(books, server)
    address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    try:
        async with running(suite.urls, ledger_address=address, before=(Claims(),)) as service:
            own = service.account(0)
            slot = slot_of_account(own)
            beside = (f"{own}.{number}" for number in itertools.count())
            near = next(name for name in beside if slot_of_account(name) == slot)
            accounts = [await _open(service, name) for name in (own, near, service.account(1))]
            payers = [accounts[1], accounts[2], accounts[1]]
            for one, payer in zip(accounts, payers, strict=True):
                paid = await service.transfer(payer.spare, one.wallet, 7)
                one.transaction = paid.transaction.transaction_id
            await money_books.settled(suite.urls)
            yield World(service, books, *accounts)
    finally:
        await server.stop(1)


async def _open(service: Suite, name: str) -> Account:
    fields = {"account_id": name, "currency_code": "EUR"}
    made = await service.do("CreateWallet", **fields, alias="main")
    wallet, spare = made.wallet.wallet_id, await service.wallet_in(name)
    for one in (wallet, spare):
        await service.deposit(one, 1_000)
    hold = await service.do("Authorize", wallet_id=wallet, amount=money(10))
    return Account(name, wallet, spare, f"alias:{name}/main", hold.hold.hold_id, "")


def _texts(fields: object) -> list[str]:
    """Return every text in a request's fields."""
    if isinstance(fields, str):
        return [fields]
    if isinstance(fields, dict):
        return [text for one in fields.items() for part in one for text in _texts(part)]
    return [text for one in fields for text in _texts(one)] if isinstance(fields, list) else []
