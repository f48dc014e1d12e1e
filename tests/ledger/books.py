"""What the tests of the journal share: the journal over many records, and a shard to begin with."""

from collections.abc import Callable

import pytest

from guilder.events.v1 import record_pb2 as events
from ledger.domain.account import Account, JournalMismatchError, Mismatch
from ledger.domain.holding import Hold
from ledger.domain.journal import Entry, journal, wallets_of
from ledger.domain.record import Record
from ledger.store.codec import decode
from tests.ledger.shards import Shard

Spoil = Callable[[events.Record], None]

FROZEN, THAWED = events.WALLET_STATUS_FROZEN, events.WALLET_STATUS_ACTIVE


class Books:
    """The journal over many records, as ingest keeps it."""

    def __init__(self) -> None:
        self.accounts: dict[bytes, Account] = {}
        self.entries: list[Entry] = []
        self.holds: dict[bytes, Hold] = {}
        self.assets: dict[str, int] = {}
        self.seq = 0

    def add(self, record: Record) -> list[Entry]:
        """Journal a record that follows those before."""
        self.seq += 1
        before = dict(self.accounts), dict(self.holds)
        found = journal(record, self.seq, self.accounts, holds=self.holds, assets=self.assets)
        assert (self.accounts, self.holds) == before
        assert found.accounts.keys() == wallets_of(record)
        self.accounts |= found.accounts
        self.holds |= found.holds
        self.assets |= dict(record.assets)
        self.entries += found.entries
        return found.entries


def refused(books: Books, shard: Shard, spoil: Spoil | None = None) -> Mismatch:
    """Write the shard's batch, spoilt if asked, and return why the journal refuses it."""
    shard.commit()
    message = message_of(shard)
    if spoil is not None:
        spoil(message)
    with pytest.raises(JournalMismatchError) as error:
        books.add(reread(message))
    mismatch = error.value.mismatch
    assert mismatch.expected != mismatch.actual
    return mismatch


def keep(books: Books, shard: Shard) -> None:
    """Write the shard's batch, and journal it."""
    shard.commit()
    books.add(reread(message_of(shard)))


def message_of(shard: Shard, number: int = -1) -> events.Record:
    """Return a record of a shard as a message that can be changed."""
    return events.Record.FromString(shard.records[number].payload)


def reread(message: events.Record) -> Record:
    """Return a message as the domain sees it."""
    return decode(message.SerializeToString())


def two_wallets() -> tuple[Shard, Books, bytes, bytes]:
    """Return a shard with money in two wallets, and its books."""
    shard, books = Shard(), Books()
    ann, bob = shard.create(), shard.create()
    shard.transfer(shard.world(), ann, 100)
    shard.commit()
    books.add(reread(message_of(shard)))
    return shard, books, ann, bob
