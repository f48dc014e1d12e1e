"""Whatever is changed in exported months is found without a database, by file and line."""

import base64
import gzip
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from guilder.events.v1 import record_pb2 as events
from ledger.export.check import check
from ledger.export.effective import EffectiveTimes
from ledger.export.errors import BrokenFileError
from ledger.export.faults import MAX_KEPT, Faults
from ledger.export.files import read_lines
from ledger.export.lines import LineError, read_entry, read_record, read_trial
from ledger.export.manifest import MANIFEST_FILE
from tests.ledger.exports import (
    AUGUST,
    ENTRIES,
    RECORDS,
    TRIAL,
    Line,
    Spoil,
    alter_line,
    chained,
    change,
    export,
    in_manifest,
    lines_of,
    manifest_of,
    put_lines,
    put_manifest,
    three_months,
    told,
    with_amount,
)
from tests.ledger.running import Running
from tests.ledger.shards import Shard


def flip(name: str) -> Spoil:
    """Change a byte in the midst of a file."""

    def spoil(folder: Path) -> None:
        kept = bytearray((folder / name).read_bytes())
        kept[len(kept) // 2] ^= 1
        (folder / name).write_bytes(kept)

    return spoil


def drop(number: int) -> Callable[[list[Line]], list[Line]]:
    """Leave a line out."""
    return lambda lines: lines[: number - 1] + lines[number:]


def other_amount(lines: list[Line]) -> list[Line]:
    """Have the second record move more than it did."""
    return [lines[0], with_amount(lines[1], 1), *lines[2:]]


def other_owner(lines: list[Line]) -> list[Line]:
    """Have a wallet's second entry name another owner than its first."""
    wallets = [line["wallet_id"] for line in lines]
    again = next(n for n, wallet_id in enumerate(wallets) if wallet_id in wallets[:n])
    return alter_line(again + 1, account_id="eve")(lines)


def forge(folder: Path) -> None:
    """Change an amount, and every hash behind it, up to the manifest's last."""
    lines = chained(other_amount(lines_of(folder / RECORDS)))
    put_lines(folder / RECORDS, lines)
    made = manifest_of(folder)
    made["shards"][0]["hash_last"] = lines[-1]["hash"]
    put_manifest(folder, made)


def mix(folder: Path) -> None:
    """Have a transaction debit one currency and credit another, with every hash behind it."""
    lines = lines_of(folder / RECORDS)
    message = events.Record.FromString(base64.b64decode(lines[0]["record"]))
    message.transactions[0].postings[0].source = Shard(0).world("USD")
    lines[0]["record"] = base64.b64encode(message.SerializeToString()).decode()
    put_lines(folder / RECORDS, chained(lines))


def without_last(folder: Path) -> None:
    """Cut the last record off, and have the manifest end before it."""
    lines = lines_of(folder / RECORDS)[:-1]
    put_lines(folder / RECORDS, lines)
    made = manifest_of(folder)
    made["shards"][0] |= {"hash_last": lines[-1]["hash"], "last_seq": lines[-1]["seq"]}
    put_manifest(folder, made)


def _unbalanced(line: Line) -> Line:
    """Have an account be debited one more before the month."""
    changed = {}
    for when in ("begin", "end"):
        changed[f"{when}_debit_minor"] = str(int(line[f"{when}_debit_minor"]) + 1)
        changed[f"{when}_net_minor"] = str(int(line[f"{when}_net_minor"]) - 1)
    return line | changed


def trial_twice(folder: Path) -> None:
    """Tell other figures of an account first, and have the manifest count accounts."""
    lines = lines_of(folder / TRIAL)
    put_lines(folder / TRIAL, [_unbalanced(lines[0]), *lines])
    in_manifest(lambda made: made["files"][-1].update(rows=len(lines)))(folder)


def wallet_twice(made: Line) -> None:
    """List a shard's system wallet once more."""
    made["shards"][0]["system_wallets"].append(made["shards"][0]["system_wallets"][0])


UNMOVED = {"shard": 7} | {
    f"{when}_{name}_minor": amount
    for when in ("begin", "end")
    for name, amount in (("debit", "5"), ("credit", "5"), ("net", "0"))
}
"""Of an account of a shard that is not exported, which is balanced, and did not move."""


def add_file(folder: Path) -> None:
    """Put another file beside the others."""
    (folder / "notes.txt").write_text("")


FAULTS: dict[str, tuple[Spoil, str]] = {
    "a byte of the records": (flip(RECORDS), rf"{RECORDS}: \d+ bytes, SHA-256 "),
    "a byte of the entries": (flip(ENTRIES), rf"{ENTRIES}: \d+ bytes, SHA-256 "),
    "a byte of the trial balance": (flip(TRIAL), rf"{TRIAL}: \d+ bytes, SHA-256 "),
    "an amount": (change(RECORDS, other_amount), rf"{RECORDS}:2: hash is .* of prev_hash and"),
    "an amount, all hashes fitting": (forge, rf"{RECORDS}:2: wallet .*: balance-after: expected"),
    "a transaction of two currencies": (
        mix,
        rf"{RECORDS}:1: transaction 0 sums to -10000 in USD, not to 0",
    ),
    "a record missing": (change(RECORDS, drop(3)), rf"{RECORDS}:3: record 4 follows record 2"),
    "the first record missing": (change(RECORDS, drop(1)), rf"{RECORDS}:1: record 2 follows "),
    "the last record missing": (change(RECORDS, lambda lines: lines[:-1]), rf"{RECORDS}: ends "),
    "the last cut off": (without_last, rf"{ENTRIES}:\d+: no record gives this entry"),
    "a record twice": (
        change(RECORDS, lambda lines: [*lines[:2], *lines[1:]]),
        rf"{RECORDS}:3: record 2 follows record 2",
    ),
    "another hash before": (
        change(RECORDS, alter_line(2, prev_hash="00" * 32)),
        rf"{RECORDS}:2: prev_hash is 0000",
    ),
    "another time": (
        change(RECORDS, alter_line(2, recorded_at="2026-07-02T00:00:00.000000Z")),
        rf"{RECORDS}:2: the bytes are of shard 0 and time",
    ),
    "a time of another month": (
        change(RECORDS, alter_line(2, recorded_at="2026-08-01T00:00:00.000000Z")),
        rf"{RECORDS}:2: recorded_at is not in 2026-07",
    ),
    "no base64": (change(RECORDS, alter_line(2, record="?")), rf"{RECORDS}:2: not a line"),
    "no record": (change(RECORDS, alter_line(2, record="AAAA")), rf"{RECORDS}:2: the bytes can't"),
    "a number as a text": (change(RECORDS, alter_line(2, seq="2")), rf"{RECORDS}:2: not a line"),
    "a field too many": (change(RECORDS, alter_line(2, more=1)), rf"{RECORDS}:2: not in the form"),
    "an entry's delta": (
        change(ENTRIES, alter_line(2, delta_minor="-41")),
        rf"{ENTRIES}:2: delta_minor: expected '-?\d+', found '-41'",
    ),
    "an entry's balance": (
        change(ENTRIES, alter_line(2, balance_after_minor="1")),
        rf"{ENTRIES}:2: balance_after_minor: expected '-?\d+', found '1'",
    ),
    "an entry's effective time": (
        change(ENTRIES, alter_line(2, effective_at="2026-07-02T00:00:00.000000Z")),
        rf"{ENTRIES}:2: effective_at: expected '.*', found '2026-07-02T",
    ),
    "an entry's currency": (
        change(ENTRIES, alter_line(2, currency_code="GBP")),
        rf"{ENTRIES}:2: currency_code: expected '\w+', found 'GBP'",
    ),
    "an entry's owner": (
        change(ENTRIES, lambda lines: [one | {"account_id": "eve"} for one in lines]),
        rf"{ENTRIES}: account_id of wallet .*: 'eve', its creation says",
    ),
    "one entry's owner": (
        change(ENTRIES, other_owner),
        rf"{ENTRIES}:\d+: account_id: another line says",
    ),
    "an entry missing": (change(ENTRIES, drop(2)), rf"{ENTRIES}: the entry of wallet .* missing"),
    "an entry twice": (
        change(ENTRIES, lambda lines: [*lines[:2], *lines[1:]]),
        rf"{ENTRIES}:3: not behind the entry before",
    ),
    "entries in another order": (
        change(ENTRIES, lambda lines: lines[::-1]),
        rf"{ENTRIES}:2: not behind the entry before",
    ),
    "entries that are none": (change(ENTRIES, alter_line(2, n=None)), rf"{ENTRIES}:2: not a line"),
    "a line of the trial balance": (
        change(TRIAL, alter_line(1, end_debit_minor="1", end_net_minor="0")),
        rf"{TRIAL}:1: not in the form",
    ),
    "a line of the trial balance twice": (
        trial_twice,
        rf"{TRIAL}:2: shard 0, EUR, kind 0: a line before is of it too",
    ),
    "a trial balance of another shard": (
        change(TRIAL, lambda lines: [*lines, lines[0] | UNMOVED]),
        rf"{TRIAL}:\d+: shard 7 is not in the manifest",
    ),
    "a sum of the trial balance": (
        change(TRIAL, drop(1)),
        rf"{TRIAL}: shard 0, EUR, kind 0: moved \(0, 0\), the entries give ",
    ),
    "a trial balance that is not zero": (
        change(TRIAL, lambda lines: [_unbalanced(lines[0]), *lines[1:]]),
        rf"{TRIAL}: shard 0, EUR: sums to -1, not to 0",
    ),
    "a trial balance that begins with something": (
        change(TRIAL, lambda lines: [_unbalanced(lines[0]), *lines[1:]]),
        rf"{TRIAL}: shard 0, EUR, kind 0: begins with \(1, 0\), the month before ends ",
    ),
    "a file missing": (
        lambda folder: (folder / ENTRIES).unlink(),
        rf"{ENTRIES}: can't be read: No such file",
    ),
    "a file too many": (add_file, r"notes\.txt: the manifest does not name it"),
    "a file not listed": (
        in_manifest(lambda made: made["files"].pop()),
        rf"{MANIFEST_FILE}: files: {TRIAL} belongs to no shard, or is left out",
    ),
    "a shard not listed": (
        in_manifest(lambda made: made["shards"].pop()),
        rf"{MANIFEST_FILE}: files: shard-1-entries.*, or is left out",
    ),
    "a sum": (
        in_manifest(lambda made: made["sums"][0].update(debit_minor="1")),
        rf"{MANIFEST_FILE}: sums: the manifest says EUR: \d+ entries, 1 debit",
    ),
    "another number of lines": (
        in_manifest(lambda made: made["files"][0].update(rows=1)),
        rf"{RECORDS}: \d+ lines; the manifest says 1",
    ),
    "another number of lines of the trial balance": (
        in_manifest(lambda made: made["files"][-1].update(rows=1)),
        rf"{TRIAL}: \d+ lines; the manifest says 1",
    ),
    "another number of entries": (
        in_manifest(lambda made: made["shards"][0].update(entries=1)),
        rf"{MANIFEST_FILE}: shard 0: entries: \d+ are there, not 1",
    ),
    "another begin of a system wallet": (
        in_manifest(lambda made: made["shards"][0]["system_wallets"][0].update(version=5)),
        rf"{MANIFEST_FILE}: shard 0: system_wallets: sys:0:world:EUR begins with",
    ),
    "another genesis": (
        in_manifest(lambda made: made["shards"][0].update(hash_before="00" * 32)),
        rf"{MANIFEST_FILE}: shard 0: hash_before is not that before a first record",
    ),
    "a file listed twice": (
        in_manifest(lambda made: made["files"].append(made["files"][0])),
        rf"{MANIFEST_FILE}: not a manifest: it: .*files: {RECORDS} is there 2 times",
    ),
    "a shard listed twice": (
        in_manifest(lambda made: made["shards"].append(made["shards"][0])),
        rf"{MANIFEST_FILE}: not a manifest: it: .*shards: 0 is there 2 times",
    ),
    "a system wallet listed twice": (
        in_manifest(wallet_twice),
        rf"{MANIFEST_FILE}: not a manifest: shards\.0: .*system_wallets: sys:0:\S+ is there 2 ",
    ),
    "a manifest that is none": (
        in_manifest(lambda made: made.update(month="2026-13")),
        rf"{MANIFEST_FILE}: not a manifest: month: ",
    ),
}


async def test_each_fault_is_found_and_named(running: Running, tmp_path: Path) -> None:
    """By file, and by line where it is one; the rest of the check does not break on it."""
    await three_months(running)
    july = (await export(running, tmp_path)).folder
    assert not told(july)
    for name, (spoil, expected) in FAULTS.items():
        spoilt = tmp_path / name.replace(" ", "-") / july.name
        shutil.copytree(july, spoilt)
        spoil(spoilt)
        found = told(spoilt)
        begins = rf"{july.name}/{expected}"
        assert any(re.match(begins, text) for text in found), (name, found)


async def test_months_have_to_continue_each_other(running: Running, tmp_path: Path) -> None:
    """By number and hash of each shard, by the trial balance, without a month between."""
    await three_months(running)
    july = (await export(running, tmp_path)).folder
    august = (await export(running, tmp_path, AUGUST)).folder
    forged = tmp_path / "forged" / july.name
    shutil.copytree(july, forged)
    forge(forged)
    text = f"{august}/{MANIFEST_FILE}: shard 0: does not continue the month before, which ends"
    assert any(str(one).startswith(text) for one in check([forged, august]).faults.kept)

    moved = tmp_path / "moved" / august.name
    shutil.copytree(august, moved)
    change(TRIAL, _more_before)(moved)
    assert [str(one) for one in check([july, moved]).faults.kept if "month before" in one.text]

    twice = [str(one) for one in check([july, july]).faults.kept]
    assert twice == [f"{july}/{MANIFEST_FILE}: month: 2026-07 is in {july} too"]


def _more_before(lines: list[Line]) -> list[Line]:
    """Have customers begin with more, and end with as much more."""
    return [_more(line) if line["account"] in ("customers", "world") else line for line in lines]


def _more(line: Line) -> Line:
    names = [f"{when}_{side}_minor" for when in ("begin", "end") for side in ("debit", "credit")]
    return line | {name: str(int(line[name]) + 1) for name in names}


async def test_a_month_between_is_missed(running: Running, tmp_path: Path) -> None:
    """July and September do not continue each other, whatever they hold."""
    await three_months(running)
    july = (await export(running, tmp_path)).folder
    august = (await export(running, tmp_path, AUGUST)).folder
    in_manifest(lambda made: made.update(month="2026-09"))(august)
    text = "month: 2026-09 follows 2026-07: one between is missing"
    assert f"{august}/{MANIFEST_FILE}: {text}" in map(str, check([august, july]).faults.kept)


async def test_a_later_month_alone_is_followed(running: Running, tmp_path: Path) -> None:
    """What its wallets were before is taken from its records; what they do must follow."""
    await three_months(running)
    august = (await export(running, tmp_path, AUGUST)).folder
    spoilt = tmp_path / "spoilt" / august.name
    shutil.copytree(august, spoilt)
    in_manifest(lambda made: made["shards"][0]["system_wallets"][0].update(posted_minor="7"))(
        spoilt
    )
    assert any(f"{TRIAL}: sys:0:transit:EUR: begins with" in text for text in told(spoilt))
    lines = lines_of(august / RECORDS)
    forged = chained([lines[0], *[with_amount(line, 1) for line in lines[1:2]], *lines[2:]])
    put_lines(august / RECORDS, forged)
    made = manifest_of(august)
    made["shards"][0]["hash_last"] = forged[-1]["hash"]
    put_manifest(august, made)
    found = told(august)
    assert any(f"{RECORDS}:2: wallet" in text and "balance-after" in text for text in found), found


def test_only_so_many_faults_are_told() -> None:
    """The rest is counted."""
    faults = Faults()
    for number in range(MAX_KEPT + 5):
        faults.add("file", number, "wrong")
    assert len(faults.kept) == MAX_KEPT
    assert faults.count == MAX_KEPT + 5


def test_a_line_without_an_end_is_no_line(tmp_path: Path) -> None:
    """A file that was cut is not read as if it were whole."""
    path = tmp_path / "cut.gz"
    path.write_bytes(b"")
    assert not list(read_lines(path, bytes))
    put = gzip.compress(b"a\nb")
    path.write_bytes(put)
    with pytest.raises(BrokenFileError, match="no end of line") as broken:
        list(read_lines(path, bytes))
    assert broken.value.line == 2
    path.write_bytes(put[:-6])
    with pytest.raises(BrokenFileError, match="can't be read on"):
        list(read_lines(path, bytes))


@pytest.mark.parametrize("text", [b"", b"1", b"[]", b"null", b'{"seq":1}', b"[" * 100_000])
def test_what_is_no_line_is_refused(text: bytes) -> None:
    """Whatever it is, it is named, and nothing breaks."""
    for read in (read_record, read_entry, read_trial):
        with pytest.raises(LineError):
            read(text)


def test_times_are_found_by_their_place(tmp_path: Path) -> None:
    """Of transactions and landed legs, first and last, and none where none was said."""
    times = EffectiveTimes(tmp_path / "times")
    places = {(seq, n): seq * 100 + n for seq in range(3, 60, 3) for n in (-2, -1, 0, 7)}
    for seq in range(3, 60, 3):
        times.add(seq, {n: us for (one, n), us in places.items() if one == seq})
    for seq in range(61):
        for n in range(-3, 9):
            assert times.find(seq, n) == places.get((seq, n))
    times.close()
    assert not (tmp_path / "times").exists()
