"""A folder from anybody is checked to its end: nothing in it is waited for, followed or obeyed."""

import math
import os
import re
import shutil
import socket
from pathlib import Path

import pytest

from ledger.export import check_shard
from ledger.export.faults import Fault
from ledger.export.manifest import MANIFEST_FILE
from ledger.export.regular import open_regular
from tests.ledger.exports import (
    ENTRIES,
    RECORDS,
    TRIAL,
    Spoil,
    alter_line,
    change,
    export,
    lines_of,
    put_lines,
    three_months,
    told,
)
from tests.ledger.running import Running

LATE = "2026-07-31T00:00:00.000000Z"


def link(name: str, target: str) -> Spoil:
    """Put a link in a file's place."""

    def spoil(folder: Path) -> None:
        (folder / name).unlink()
        (folder / name).symlink_to(target)

    return spoil


def pipe(name: str) -> Spoil:
    """Put a pipe in a file's place, to which nobody writes."""

    def spoil(folder: Path) -> None:
        (folder / name).unlink()
        os.mkfifo(folder / name)

    return spoil


def longer(folder: Path) -> None:
    """Add to a file what its packer reads over."""
    with (folder / TRIAL).open("ab") as file:
        file.write(bytes(1_000))


def add_names(folder: Path) -> None:
    """Put files beside the others whose names a terminal would obey, or can't show."""
    for name in (b"a\nb", b"c\x1b[2J", b"d\xff"):
        (folder / os.fsdecode(name)).write_bytes(b"")


SPOILT: dict[str, tuple[Spoil, str]] = {
    "a link to a device": (
        link(RECORDS, "/dev/zero"),
        rf"{RECORDS}: can't be read: not a regular file",
    ),
    "a link to a file": (link(ENTRIES, RECORDS), rf"{ENTRIES}: can't be read: not a regular file"),
    "a pipe": (pipe(ENTRIES), rf"{ENTRIES}: can't be read: not a regular file"),
    "a pipe that should have lines": (pipe(TRIAL), rf"{TRIAL}:1: can't be read on: .*regular file"),
    "a pipe for a manifest": (
        pipe(MANIFEST_FILE),
        rf"{MANIFEST_FILE}: no finished export: not a regular file",
    ),
    "a link for a manifest": (
        link(MANIFEST_FILE, "/dev/zero"),
        rf"{MANIFEST_FILE}: no finished export: not a regular file",
    ),
    "an entry's currency that is none": (
        change(ENTRIES, alter_line(2, currency_code="eur")),
        rf"{ENTRIES}:2: not a line",
    ),
    "an entry's delta of too many digits": (
        change(ENTRIES, alter_line(2, delta_minor="9" * 39)),
        rf"{ENTRIES}:2: not a line",
    ),
    "an entry's delta without end": (
        change(ENTRIES, alter_line(2, delta_minor=math.inf)),
        rf"{ENTRIES}:2: not a line",
    ),
    "a kind of entry without end": (
        change(ENTRIES, alter_line(2, type=math.inf)),
        rf"{ENTRIES}:2: not a line",
    ),
    "an amount of the trial balance of too many digits": (
        change(TRIAL, alter_line(1, begin_debit_minor="9" * 39)),
        rf"{TRIAL}:1: not a line",
    ),
    "a longer file": (longer, rf"{TRIAL}: longer than the \d+ bytes that the manifest says"),
    "a name of two lines": (add_names, r"a\\nb: the manifest does not name it"),
    "a name that clears the screen": (add_names, r"c\\x1b\[2J: the manifest does not name it"),
    "a name that is no text": (add_names, r"d\\udcff: the manifest does not name it"),
}


async def test_a_hostile_folder_is_only_looked_at(running: Running, tmp_path: Path) -> None:
    """What is not a plain file is named, and a file is not read behind the end it should have."""
    await three_months(running)
    july = (await export(running, tmp_path)).folder
    for name, (spoil, expected) in SPOILT.items():
        spoilt = tmp_path / name.replace(" ", "-") / july.name
        shutil.copytree(july, spoilt)
        spoil(spoilt)
        found = told(spoilt)
        assert any(re.match(rf"{july.name}/{expected}", text) for text in found), (name, found)


async def test_only_so_many_entries_are_explained(
    running: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of all wallets together; of the others it is said that they differ, and nothing is lost."""
    await three_months(running)
    july = (await export(running, tmp_path)).folder
    lines = lines_of(july / ENTRIES)
    wallets = {line["wallet_id"] for line in lines}
    put_lines(july / ENTRIES, [line | {"effective_at": LATE} for line in lines])
    explained = re.compile(rf"{july.name}/{ENTRIES}:(\d+): effective_at: expected")
    summed = re.compile(rf"{july.name}/{ENTRIES}: entries of wallet \S+ are not what the records")
    most = max(sum(line["wallet_id"] == one for line in lines) for one in wallets)
    owners: set[str] = set()
    for limit in (0, most, len(lines)):
        monkeypatch.setattr(check_shard, "MAX_EXPLAINED_ENTRIES", limit)
        found = told(july)
        numbers = [int(match[1]) for text in found if (match := explained.match(text))]
        owners = {lines[number - 1]["wallet_id"] for number in numbers}
        assert len(numbers) <= limit
        assert len(owners) + sum(bool(summed.match(text)) for text in found) == len(wallets)
    assert owners == wallets


def test_only_a_regular_file_is_opened(tmp_path: Path) -> None:
    """Neither a folder, nor a device, nor a socket."""
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "socket"))
        for path in (tmp_path, Path("/dev/null"), tmp_path / "socket"):
            with pytest.raises(OSError, match="not a regular file"):
                open_regular(path)


def test_a_fault_is_one_line() -> None:
    """Whatever a file is called, and whatever it says."""
    fault = Fault("a\nb\x1b\udcff", 3, "no\r\u2028é")
    assert str(fault) == r"a\nb\x1b\udcff:3: no\r\u2028é"
