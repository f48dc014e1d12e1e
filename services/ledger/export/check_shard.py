"""Check one shard's month: its chain record by record, then its entries against the records.

Entries lie by day and wallet, records in the order of the chain. Each wallet's entries are folded
into a digest that does not depend on their order; only of wallets whose digests differ, both are
read once more and compared one by one.
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from ledger.domain.account import Mismatch
from ledger.domain.record import Record
from ledger.domain.replay import EMPTY, Fold
from ledger.export.books import Books, Opening
from ledger.export.errors import BrokenFileError
from ledger.export.faults import Faults
from ledger.export.files import read_lines
from ledger.export.lines import (
    EntryLine,
    differences,
    read_entry,
    read_record,
    shown_id,
    write_entry,
)
from ledger.export.manifest import MANIFEST_FILE, ShardPart, entries_file, records_file
from ledger.export.month import Month
from ledger.export.sums import Sums
from ledger.store.audit import RecordRow
from ledger.store.closed import CLOCK_SLACK_US
from ledger.store.codec import MalformedRecordError, UnknownVersionError, decode
from walletkit.chain import next_hash
from walletkit.ids import parse_wallet_id

MAX_EXPLAINED = 20
"""Wallets whose entries are compared one by one; of others only that they differ is said."""

MAX_EXPLAINED_ENTRIES = 100_000
"""Of all those wallets together: they are in memory."""

_DIGEST_MASK = 2**64 - 1

_Key = tuple[bytes, int]


class ShardCheck:
    """The check of one shard's month; faults go to ``faults``, named by file and line."""

    def __init__(self, folder: Path, month: Month, part: ShardPart, faults: Faults) -> None:
        self._folder = folder
        self._month = month
        self._part = part
        self._faults = faults
        self._records = folder / records_file(part.shard)
        self._entries = folder / entries_file(part.shard)
        self._expected: dict[bytes, Fold] = {}
        self._found: dict[bytes, Fold] = {}
        self._owners: dict[bytes, str] = {}
        self.rows: dict[str, int] = {}
        """Lines of the files that were read to their end, by name."""

    def run(self, books: Books, sums: Sums) -> bool:
        """Check, and bring the books to the month's end; tell whether they got there.

        What the entries move is added to ``sums``.
        """
        before = self._open(books)
        whole = self._replay(books)
        entries = self._read_entries(sums)
        if whole and entries is not None:
            if entries != self._part.entries:
                text = f"shard {self._part.shard}: entries: {entries} are there"
                self._manifest_fault(f"{text}, not {self._part.entries}")
            self._compare(before)
            self._compare_owners(books)
        return whole

    def _open(self, books: Books) -> Books:
        said = {
            parse_wallet_id(wallet.wallet_id): Opening(wallet.version, int(wallet.posted_minor))
            for wallet in self._part.system_wallets
        }
        for wallet_id, here in books.open(said):
            self._manifest_fault(
                f"shard {self._part.shard}: system_wallets: {shown_id(wallet_id)} begins with "
                f"{said[wallet_id]}, the records before give {here}"
            )
        return books.copy()

    def _replay(self, books: Books) -> bool:
        """Follow the chain and replay it; False where the file could not be read to its end."""
        number = 0
        for number, line in self._record_lines():
            if line is None:
                return False
            self._follow(number, books, line)
            record = self._decode(number, line)
            if record is None:
                return False
            lines = books.apply(line.seq, record, partial(self._mismatch, number))
            self._check_zero(number, lines)
            for entry in lines:
                _fold(self._expected, entry)
        self.rows[self._records.name] = number
        if (books.seq, books.hash.hex()) != (self._part.last_seq, self._part.hash_last):
            self._fault(
                *(self._records, 0),
                f"ends with record {books.seq}, {books.hash.hex()}; the manifest says "
                f"{self._part.last_seq}, {self._part.hash_last}",
            )
        return True

    def _record_lines(self) -> Iterator[tuple[int, RecordRow | None]]:
        """Yield the records; None, and a fault, where the file can't be read on."""
        try:
            yield from read_lines(self._records, read_record)
        except BrokenFileError as error:
            self._fault(self._records, error.line, str(error))
            yield error.line, None

    def _follow(self, number: int, books: Books, line: RecordRow) -> None:
        """Check that a record follows the one before, and go on from what it says of itself."""
        fault = self._fault
        if line.seq != books.seq + 1:
            fault(self._records, number, f"record {line.seq} follows record {books.seq}")
        elif line.prev_hash != books.hash:
            text = f"prev_hash is {line.prev_hash.hex()}, the record before has {books.hash.hex()}"
            fault(self._records, number, text)
        if (expected := next_hash(line.prev_hash, line.payload)) != line.hash:
            text = f"hash is {line.hash.hex()}, of prev_hash and the bytes it is {expected.hex()}"
            fault(self._records, number, text)
        begin_us = self._month.begin_us - (CLOCK_SLACK_US if number > 1 else 0)
        if not begin_us <= line.time_us < self._month.end_us:
            fault(self._records, number, f"recorded_at is not in {self._month}")
        books.seq, books.hash = line.seq, line.hash

    def _mismatch(self, number: int, mismatch: Mismatch) -> None:
        who = f"wallet {shown_id(mismatch.wallet_id)}: " if mismatch.wallet_id else ""
        self._fault(self._records, number, f"{who}{mismatch.sentence()}")

    def _decode(self, number: int, line: RecordRow) -> Record | None:
        try:
            record = decode(line.payload)
        except (MalformedRecordError, UnknownVersionError) as error:
            self._fault(self._records, number, f"the bytes can't be read: {error!r}")
            return None
        said = (record.shard, record.time_us)
        if said != (self._part.shard, line.time_us):
            text = f"the bytes are of shard {said[0]} and time {said[1]} us, the line is not"
            self._fault(self._records, number, text)
        return record

    def _check_zero(self, number: int, lines: list[EntryLine]) -> None:
        """Check that each transaction, and each landed leg, sums to zero in each currency."""
        nets: dict[tuple[int, str], int] = {}
        for line in lines:
            key = (line.entry[4], line.currency)
            nets[key] = nets.get(key, 0) + line.entry[8]
        for (n, currency), net in nets.items():
            if net:
                text = f"transaction {n} sums to {net} in {currency}, not to 0"
                self._fault(self._records, number, text)

    def _read_entries(self, sums: Sums) -> int | None:
        """Read the entries, and return how many; None where they could not be read to the end."""
        number = 0
        last = (0, b"", 0)
        try:
            for number, line in read_lines(self._entries, read_entry):
                wallet_id, version, day, *_ = line.entry
                if (day, wallet_id, version) <= last:
                    text = "not behind the entry before: by day, wallet and version"
                    self._fault(self._entries, number, text)
                last = (day, wallet_id, version)
                if self._owners.setdefault(wallet_id, line.account_id) != line.account_id:
                    text = f"account_id: another line says {self._owners[wallet_id]!r}"
                    self._fault(self._entries, number, text)
                sums.add(self._part.shard, line)
                _fold(self._found, line)
        except BrokenFileError as error:
            self._fault(self._entries, error.line, str(error))
            return None
        self.rows[self._entries.name] = number
        return number

    def _compare(self, before: Books) -> None:
        """Compare the entries with what the records give."""
        differing = sorted(
            wallet_id
            for wallet_id in self._expected.keys() | self._found.keys()
            if self._expected.get(wallet_id, EMPTY) != self._found.get(wallet_id, EMPTY)
        )
        explained: list[bytes] = []
        left = MAX_EXPLAINED_ENTRIES
        for wallet_id in differing:
            most = self._most(wallet_id)
            if len(explained) < MAX_EXPLAINED and most <= left:
                explained.append(wallet_id)
                left -= most
            else:
                text = f"entries of wallet {shown_id(wallet_id)} are not what the records give"
                self._fault(self._entries, 0, text)
        if explained:
            self._explain(before, frozenset(explained))

    def _most(self, wallet_id: bytes) -> int:
        return max(
            self._expected.get(wallet_id, EMPTY).entries, self._found.get(wallet_id, EMPTY).entries
        )

    def _explain(self, books: Books, watched: frozenset[bytes]) -> None:
        """Replay once more, and say which lines of some wallets differ, and how."""
        wanted: dict[_Key, bytes] = {}
        for _, record in self._record_lines():
            if record is not None:
                # What is wrong with the records was told the first time.
                for line in books.apply(record.seq, decode(record.payload), _silent):
                    if line.entry[0] in watched:
                        wanted[line.entry[:2]] = write_entry(_unowned(line))
        for number, line in read_lines(self._entries, read_entry):
            if line.entry[0] in watched:
                expected = wanted.pop(line.entry[:2], None)
                if expected is None:
                    self._fault(self._entries, number, "no record gives this entry")
                elif (found := write_entry(_unowned(line))) != expected:
                    self._fault(self._entries, number, differences(expected, found))
        for (wallet_id, version), _ in sorted(wanted.items()):
            text = f"the entry of wallet {shown_id(wallet_id)} with version {version} is missing"
            self._fault(self._entries, 0, text)

    def _compare_owners(self, books: Books) -> None:
        for wallet_id, said in sorted(self._owners.items()):
            owner = books.owner(wallet_id)
            if owner is not None and owner != said:
                text = f"account_id of wallet {shown_id(wallet_id)}: {said!r}"
                self._fault(self._entries, 0, f"{text}, its creation says {owner!r}")

    def _fault(self, path: Path, line: int, text: str) -> None:
        self._faults.add(str(path), line, text)

    def _manifest_fault(self, text: str) -> None:
        self._faults.add(str(self._folder / MANIFEST_FILE), 0, text)


def _silent(mismatch: Mismatch) -> None:
    """Tell nobody."""


def _unowned(line: EntryLine) -> EntryLine:
    """Leave out what the records of these months may not say."""
    return line._replace(account_id="")


def _fold(folds: dict[bytes, Fold], line: EntryLine) -> None:
    """Add an entry; as text, because Python hashes -1 as -2."""
    wallet_id = line.entry[0]
    entries, digest = folds.get(wallet_id, EMPTY)
    more = hash(repr((line.entry, line.currency, line.effective_us)))
    folds[wallet_id] = Fold(entries + 1, digest + more & _DIGEST_MASK)
