"""What the tests of the journal share: the journal over many records, and a shard to begin with."""

from guilder.events.v1 import record_pb2 as events
from ledger.domain.account import Account
from ledger.domain.journal import Entry, journal, wallets_of
from ledger.domain.record import Record
from ledger.store.codec import decode
from tests.ledger.shards import Shard

FROZEN, THAWED = events.WALLET_STATUS_FROZEN, events.WALLET_STATUS_ACTIVE


class Books:
    """The journal over many records, as ingest keeps it."""

    def __init__(self) -> None:
        self.accounts: dict[bytes, Account] = {}
        self.entries: list[Entry] = []
        self.seq = 0

    def add(self, record: Record) -> list[Entry]:
        """Journal a record that follows those before."""
        self.seq += 1
        before = dict(self.accounts)
        found = journal(record, self.seq, self.accounts)
        assert self.accounts == before
        assert found.accounts.keys() == wallets_of(record)
        self.accounts |= found.accounts
        self.entries += found.entries
        return found.entries


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
