"""Check exported months from their files alone: hashes, chains, entries, sums, and their order."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from ledger.export import manifest
from ledger.export.books import Books
from ledger.export.check_shard import ShardCheck
from ledger.export.errors import BrokenFileError
from ledger.export.faults import Faults
from ledger.export.files import read_lines, size_and_hash
from ledger.export.lines import TrialLine, read_trial
from ledger.export.manifest import (
    MANIFEST_FILE,
    TRIAL_FILE,
    FileEntry,
    Manifest,
    ShardPart,
    entries_file,
    records_file,
)
from ledger.export.month import Month, parse_month
from ledger.export.sums import Key, Sums, not_zero
from walletkit.ids import parse_wallet_id, system_parts

_Begin = tuple[int, int]
"""Debit and credit up to a moment."""


class Checked(NamedTuple):
    """What a check came to."""

    faults: Faults
    months: list[Month]
    records: int
    entries: int


class _Exported(NamedTuple):
    folder: Path
    month: Month
    manifest: Manifest


def check(folders: Sequence[Path]) -> Checked:
    """Check the exports in some folders, and that they continue each other. No order is needed."""
    checking = _Check()
    months = checking.read(folders)
    before: _Exported | None = None
    for exported in months:
        checking.month(exported, before)
        before = exported
    parts = [part for exported in months for part in exported.manifest.shards]
    records = sum(part.last_seq - part.first_seq + 1 for part in parts)
    entries = sum(part.entries for part in parts)
    return Checked(checking.faults, [one.month for one in months], records, entries)


class _Check:
    """A check that is being made, month after month."""

    def __init__(self) -> None:
        self.faults = Faults()
        self._books: dict[int, Books] = {}
        self._lost: set[int] = set()
        """Shards whose books could not be brought to the end of the month before."""
        self._ends: dict[Key, _Begin] | None = None
        """The trial balance at the end of the month before."""

    def read(self, folders: Iterable[Path]) -> list[_Exported]:
        """Read the manifests, and return them by month."""
        found: dict[Month, _Exported] = {}
        for folder in folders:
            try:
                made = manifest.read(folder)
            except BrokenFileError as error:
                self.faults.add(str(folder / MANIFEST_FILE), error.line, str(error))
                continue
            month = parse_month(made.month)
            if month in found:
                text = f"month: {month} is in {found[month].folder} too"
                self.faults.add(str(folder / MANIFEST_FILE), 0, text)
                continue
            found[month] = _Exported(folder, month, made)
        return [found[month] for month in sorted(found)]

    def month(self, exported: _Exported, before: _Exported | None) -> None:
        """Check a month behind the one before, if there is one."""
        if before is not None and before.month.next != exported.month:
            text = f"month: {exported.month} follows {before.month}: one between is missing"
            self._fault(exported, MANIFEST_FILE, text)
            # Whatever was between, the books have to be begun anew.
            self._books, self._lost, self._ends = {}, set(), None
        self._files(exported)
        sums = Sums()
        shards = {part.shard for part in exported.manifest.shards}
        for shard in sorted((self._books.keys() | self._lost) - shards):
            self._fault(exported, MANIFEST_FILE, f"shard {shard} of the month before is missing")
        self._books = {
            part.shard: books
            for part in exported.manifest.shards
            if (books := self._shard(exported, part, sums)) is not None
        }
        self._lost = shards - self._books.keys()
        self._sums(exported, sums)
        self._trial(exported, sums)

    def _files(self, exported: _Exported) -> None:
        """Compare the files with the manifest: which there are, their sizes and hashes."""
        listed = {file.name: file for file in exported.manifest.files}
        wanted = {TRIAL_FILE}
        for part in exported.manifest.shards:
            wanted |= {records_file(part.shard), entries_file(part.shard)}
        for name in sorted(wanted ^ listed.keys()):
            self._fault(
                exported, MANIFEST_FILE, f"files: {name} belongs to no shard, or is left out"
            )
        for path in sorted(exported.folder.iterdir()):
            if path.name not in listed and path.name != MANIFEST_FILE:
                self._fault(exported, path.name, "the manifest does not name it")
        for file in listed.values():
            self._file(exported, file)

    def _file(self, exported: _Exported, file: FileEntry) -> None:
        try:
            size, sha256 = size_and_hash(exported.folder / file.name, file.bytes + 1)
        except OSError as error:
            self._fault(exported, file.name, f"can't be read: {error.strerror}")
            return
        if size > file.bytes:
            text = f"longer than the {file.bytes} bytes that the manifest says"
            self._fault(exported, file.name, text)
        elif (size, sha256) != (file.bytes, file.sha256):
            text = f"{size} bytes, SHA-256 {sha256}; the manifest says {file.bytes}, {file.sha256}"
            self._fault(exported, file.name, text)

    def _shard(self, exported: _Exported, part: ShardPart, sums: Sums) -> Books | None:
        """Check a shard's month, and return its books; None where they can't go on."""
        before = bytes.fromhex(part.hash_before)
        books = self._books.get(part.shard)
        if books is None:
            books = Books(part.shard, part.first_seq - 1, before)
            if books.whole and before != books.genesis:
                text = f"shard {part.shard}: hash_before is not that before a first record"
                self._fault(exported, MANIFEST_FILE, text)
            known = self._ends is None or part.shard in self._lost
            if not books.whole and not known:
                text = f"shard {part.shard} begins with record {part.first_seq}, and is new"
                self._fault(exported, MANIFEST_FILE, text)
        elif (books.seq + 1, books.hash) != (part.first_seq, before):
            self._fault(
                *(exported, MANIFEST_FILE),
                f"shard {part.shard}: does not continue the month before, which ends with record "
                f"{books.seq}, {books.hash.hex()}: this one begins with {part.first_seq} behind "
                f"{part.hash_before}",
            )
            books = Books(part.shard, part.first_seq - 1, before)
        checking = ShardCheck(exported.folder, exported.month, part, self.faults)
        whole = checking.run(books, sums)
        for name, rows in checking.rows.items():
            self._rows(exported, name, rows)
        return books if whole else None

    def _rows(self, exported: _Exported, name: str, rows: int) -> None:
        said = [file.rows for file in exported.manifest.files if file.name == name]
        if said not in ([], [rows]):
            self._fault(exported, name, f"{rows} lines; the manifest says {said[0]}")

    def _sums(self, exported: _Exported, sums: Sums) -> None:
        for shard, currency, net in not_zero(sums.moved):
            text = f"entries in {currency} sum to {net}, not to 0"
            self._fault(exported, entries_file(shard), text)
        if sums.told() != exported.manifest.sums:
            said, found = exported.manifest.sums, sums.told()
            text = f"sums: the manifest says {_text(said)}, the entries give {_text(found)}"
            self._fault(exported, MANIFEST_FILE, text)

    def _trial(self, exported: _Exported, sums: Sums) -> None:
        """Check the trial balance: against the entries, the month before, and zero."""
        lines = self._trial_lines(exported)
        if lines is None:
            self._ends = None
            return
        begins = {key: (line.begin_debit, line.begin_credit) for key, line in lines.items()}
        ends = {key: (line.end_debit, line.end_credit) for key, line in lines.items()}
        self._moved(exported, begins, ends, sums)
        self._openings(exported, begins)
        self._zero(exported, ends)
        self._follows(exported, begins)
        self._ends = ends

    def _trial_lines(self, exported: _Exported) -> dict[Key, TrialLine] | None:
        """Read the trial balance; None, and a fault, where it can't be read to its end."""
        path = exported.folder / TRIAL_FILE
        shards = {part.shard for part in exported.manifest.shards}
        lines: dict[Key, TrialLine] = {}
        number = 0
        try:
            for number, line in read_lines(path, read_trial):
                key = (line.shard, line.currency, line.kind)
                if key in lines:
                    self.faults.add(str(path), number, f"{_name(key)}: a line before is of it too")
                if line.shard not in shards:
                    text = f"shard {line.shard} is not in the manifest"
                    self.faults.add(str(path), number, text)
                lines[key] = line
        except BrokenFileError as error:
            self.faults.add(str(path), error.line, str(error))
            return None
        self._rows(exported, TRIAL_FILE, number)
        return lines

    def _moved(
        self,
        exported: _Exported,
        begins: Mapping[Key, _Begin],
        ends: Mapping[Key, _Begin],
        sums: Sums,
    ) -> None:
        for key in sorted(ends.keys() | sums.moved.keys()):
            begin, end = begins.get(key, (0, 0)), ends.get(key, (0, 0))
            moved = (end[0] - begin[0], end[1] - begin[1])
            if moved != sums.moved.get(key, (0, 0)):
                text = f"moved {moved}, the entries give {sums.moved.get(key, (0, 0))}"
                self._fault(exported, TRIAL_FILE, f"{_name(key)}: {text} (debit, credit)")

    def _openings(self, exported: _Exported, begins: Mapping[Key, _Begin]) -> None:
        """Compare the begin with what the manifest says of system wallets."""
        for part in exported.manifest.shards:
            for wallet in part.system_wallets:
                kind, shard, currency = system_parts(parse_wallet_id(wallet.wallet_id))
                debit, credit = begins.get((shard, currency, int(kind)), (0, 0))
                if credit - debit != int(wallet.posted_minor):
                    text = f"begins with {credit - debit}, the manifest says {wallet.posted_minor}"
                    self._fault(exported, TRIAL_FILE, f"{wallet.wallet_id}: {text}")

    def _zero(self, exported: _Exported, ends: Mapping[Key, _Begin]) -> None:
        for shard, currency, net in not_zero(ends):
            text = f"shard {shard}, {currency}: sums to {net}, not to 0"
            self._fault(exported, TRIAL_FILE, text)

    def _follows(self, exported: _Exported, begins: Mapping[Key, _Begin]) -> None:
        """Compare the begin with the end of the month before, or with nothing."""
        whole = {shard for shard, books in self._books.items() if books.whole}
        before = self._ends
        for key in sorted(begins.keys() | (before or {}).keys()):
            if before is None and (key[0] not in whole or not self._is_first(exported, key[0])):
                continue
            said, expected = begins.get(key, (0, 0)), (before or {}).get(key, (0, 0))
            if said != expected:
                text = f"begins with {said}, the month before ends with {expected}"
                self._fault(exported, TRIAL_FILE, f"{_name(key)}: {text} (debit, credit)")

    def _is_first(self, exported: _Exported, shard: int) -> bool:
        return any(part.shard == shard and part.first_seq == 1 for part in exported.manifest.shards)

    def _fault(self, exported: _Exported, name: str, text: str) -> None:
        self.faults.add(str(exported.folder / name), 0, text)


def _name(key: Key) -> str:
    shard, currency, kind = key
    return f"shard {shard}, {currency}, kind {kind}"


def _text(sums: Iterable[manifest.Sum]) -> str:
    return "; ".join(
        f"{one.currency_code}: {one.entries} entries, {one.debit_minor} debit, "
        f"{one.credit_minor} credit"
        for one in sums
    )
