"""What the tests of lists share: a world of all kinds of transactions, and a model of its lists."""

import json
import random
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from guilder.events.v1 import record_pb2 as events
from guilder.ledger.v1 import ledger_service_pb2 as api
from tests.ledger.running import Running
from tests.ledger.shards import SECOND_US, START_US, Shard
from tests.ledger.test_reads import DAY_US, at
from walletkit.ids import new_id

PROCESSING = events.TRANSACTION_STATE_PROCESSING
COMPLETED = events.TRANSACTION_STATE_COMPLETED
REVERSAL = events.TRANSACTION_TYPE_REVERSAL
TRANSFER = events.TRANSACTION_TYPE_TRANSFER
DEPOSIT = events.TRANSACTION_TYPE_DEPOSIT


class Item(NamedTuple):
    """A transaction on a list; without an entry wallet and version are empty."""

    tx_id: bytes
    wallet_id: bytes = b""
    version: int = 0


class Known(NamedTuple):
    """What is known of a transaction at the end."""

    transaction: events.Transaction
    state: int
    time_us: int


def item_of(found: api.JournalTransaction) -> Item:
    """Read an item of a reply."""
    if not found.HasField("entry"):
        return Item(found.transaction.transaction_id)
    entry = found.entry
    ids = [bytes.fromhex(id_.replace("-", "")) for id_ in (entry.transaction_id, entry.wallet_id)]
    return Item(ids[0], ids[1], entry.version)


async def page_of(
    running: Running,
    token: str = "",
    size: int = 0,
    **query: Any,  # noqa: ANN401  # fields of any type
) -> api.ListTransactionsResponse:
    """Ask for one page."""
    request = api.ListTransactionsRequest(page_size=size, page_token=token, **query)
    reply: api.ListTransactionsResponse = await running.stub.ListTransactions(request, timeout=20)
    return reply


async def list_all(
    running: Running,
    size: int = 0,
    **query: Any,  # noqa: ANN401  # fields of any type
) -> list[api.JournalTransaction]:
    """Return all pages of a list."""
    found: list[api.JournalTransaction] = []
    token = ""
    while True:
        page = await page_of(running, token, size, **query)
        assert len(page.transactions) <= (size or 50)
        found += page.transactions
        token = page.next_page_token
        if not token:
            return found


class World:
    """Two shards with accounts of several wallets, and all kinds of transactions."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.home, self.away = Shard(0), Shard(1)
        self.accounts = {
            "ann": [self.home.create(account_id="ann") for _ in range(4)],
            "bob": [self.home.create(account_id="bob") for _ in range(2)],
            "far": [self.away.create(account_id="far") for _ in range(3)],
        }
        self.local = [*self.accounts["ann"], *self.accounts["bob"]]
        for shard, wallets in ((self.home, self.local), (self.away, self.accounts["far"])):
            for wallet in wallets:
                shard.transfer(shard.world(), wallet, 100_000)
            shard.commit()
        self.roots = [new_id(0) for _ in range(3)]
        for _ in range(40):
            self.step()
        self.home.commit()

    def step(self) -> None:
        """Write a record or two, with up to four transactions."""
        rng = self.rng
        sent = []
        for _ in range(rng.randrange(1, 5)):
            if rng.random() < 0.3:
                far = rng.choice(self.accounts["far"])
                transaction = self.home.send(rng.choice(self.local), far, rng.randrange(1, 9))
                sent.append(transaction)
            else:
                source, destination = rng.sample([self.home.world(), *self.local], 2)
                transaction = self.home.transfer(source, destination, rng.randrange(1, 9))
            self.describe(transaction)
        self.home.commit(self.home.time_us + rng.choice((1, SECOND_US, DAY_US // 4)))
        for transaction in rng.sample(sent, rng.randrange(len(sent) + 1)):
            self.away.land(transaction.transaction_id, transaction.intents[0])
            self.away.commit(max(self.home.time_us, self.away.time_us) + 1)
            if rng.random() < 0.6:
                self.home.close(transaction.transaction_id)

    def describe(self, transaction: events.Transaction) -> None:
        """Give a transaction some of what can be filtered for."""
        rng = self.rng
        if rng.random() < 0.4:
            transaction.reference = rng.choice((b"rent", b"food", "účet".encode()))
        if rng.random() < 0.4:
            said = {"m": {rng.choice("kl"): rng.choice("uv")}}
            transaction.opaque = json.dumps(said).encode()
        if transaction.type == TRANSFER and rng.random() < 0.3:
            transaction.type = REVERSAL
            transaction.family_id = transaction.parent_id = rng.choice(self.roots)

    def known(self) -> dict[bytes, Known]:
        """Return all transactions, read from the records."""
        found: dict[bytes, Known] = {}
        for shard in (self.home, self.away):
            for record in shard.records:
                message = events.Record.FromString(record.payload)
                for transaction in message.transactions:
                    known = Known(transaction, transaction.state, message.time_us)
                    found[transaction.transaction_id] = known
                for closed in message.closed_intents:
                    id_ = closed.transaction_id
                    found[id_] = found[id_]._replace(state=closed.state)
        return found

    def entries(self) -> Iterator[tuple[Item, int, tuple[int, int]]]:
        """Yield customers' entries as items, with their time, and seq and place in the record."""
        for shard in (self.home, self.away):
            for record in shard.records:
                message = events.Record.FromString(record.payload)
                moved = [(t.transaction_id, t.postings) for t in message.transactions]
                moved += [(leg.transaction_id, leg.postings) for leg in message.landed_legs]
                for n, (tx_id, postings) in enumerate(moved):
                    for posting in postings:
                        for wallet, version in (
                            (posting.source, posting.source_version),
                            (posting.destination, posting.destination_version),
                        ):
                            if version:
                                item = Item(tx_id, wallet, version)
                                yield item, message.time_us, (record.seq, n)


Query = dict[str, Any]
"""Fields of a request."""

Test = Callable[[Known], bool]


def random_filters(rng: random.Random) -> tuple[Query, list[Test]]:
    """Return some narrowing filters, and what they mean."""
    query: Query = {}
    tests: list[Test] = []
    if rng.random() < 0.4:
        types = rng.sample((TRANSFER, DEPOSIT, REVERSAL), rng.randrange(1, 3))
        query["types"] = types
        tests.append(lambda known: known.transaction.type in types)
    if rng.random() < 0.4:
        state = rng.choice((PROCESSING, COMPLETED))
        query["states"] = [state]
        tests.append(lambda known: known.state == state)
    if rng.random() < 0.3:
        reference = rng.choice(("rent", "účet"))
        query["reference"] = reference
        tests.append(lambda known: known.transaction.reference == reference.encode())
    if rng.random() < 0.3:
        key, value = rng.choice("kl"), rng.choice("uv")
        query |= {"metadata_key": key, "metadata_value": value}
        said = json.dumps({"m": {key: value}}).encode()
        tests.append(lambda known: known.transaction.opaque == said)
    return query, tests


def random_times(rng: random.Random) -> tuple[Query, Callable[[int], bool]]:
    """Return a time range, and what it means."""
    start, end = sorted(START_US + rng.randrange(4 * DAY_US) for _ in range(2))
    query: Query = {}
    if rng.random() < 0.5:
        query["start_time"] = at(start)
    if rng.random() < 0.5:
        query["end_time"] = at(end)
    return (
        query,
        lambda t: (
            ("start_time" not in query or t >= start) and ("end_time" not in query or t < end)
        ),
    )
