"""A closed month is exported whole, the same each time, and never when it is not closed."""

import asyncio
import errno
import io
import os
import stat
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from guilder.events.v1 import record_pb2 as events
from ledger.export.check import check
from ledger.export.errors import ExportError
from ledger.export.files import PackedFile
from ledger.export.manifest import MANIFEST_FILE
from ledger.export.month import Month, parse_month
from ledger.store.closed import Pages
from ledger.store.pool import Session
from tests.ledger.exports import (
    AUGUST,
    JULY,
    NOW,
    SEPTEMBER,
    export,
    lines_of,
    manifest_of,
    three_months,
)
from tests.ledger.running import Running
from tests.ledger.shards import SECOND_US, Shard
from walletkit.clock import to_datetime
from walletkit.ids import format_id
from walletkit.sql.session import Rows

COMMAND_TIMEOUT_S = 60


def texts(*folders: Path) -> list[str]:
    """Check exports, and return what is wrong."""
    return [str(fault) for fault in check(folders).faults.kept]


def left(folder: Path) -> list[str]:
    """Name what is in a folder."""
    return sorted(path.name for path in folder.iterdir())


def contents(folder: Path) -> dict[str, bytes]:
    """Return the files of an export but its manifest, which says when it was made."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix == ".gz"}


async def test_months_are_exported_and_hold(running: Running, tmp_path: Path) -> None:
    """Every record and entry, shard by shard; months hold alone, and together in any order."""
    months = await three_months(running)
    july = await export(running, tmp_path)
    august = await export(running, tmp_path, AUGUST)
    assert not texts(august.folder, july.folder)
    assert not texts(august.folder)
    assert july.folder == tmp_path / "guilder-ledger-2026-07"
    checked = check([july.folder, august.folder])
    ((entries,),) = (await running.sql("SELECT COUNT(*) FROM entries"))[0]
    assert checked.months == [JULY, AUGUST]
    assert checked.records == len(months.home.records) - 1 + len(months.away.records)
    assert checked.entries == entries - 2
    first, second = july.manifest.shards[0], august.manifest.shards[0]
    assert (first.first_seq, first.hash_last) == (1, second.hash_before)
    assert second.first_seq == first.last_seq + 1
    assert [(one.currency_code, one.debit_minor) for one in july.manifest.sums] == [
        ("EUR", "10272"),
        ("USD", "700"),
    ]


async def test_only_the_owner_may_read_it_and_nothing_else_is_left(
    running: Running, tmp_path: Path
) -> None:
    """The folder has its files, named by the manifest, and no trace of how it was made."""
    await three_months(running)
    made = await export(running, tmp_path)
    names = {file.name for file in made.manifest.files} | {MANIFEST_FILE}
    paths = list(made.folder.iterdir())
    assert {path.name for path in paths} == names
    assert {stat.S_IMODE(path.stat().st_mode) for path in paths} == {0o600}
    assert stat.S_IMODE(made.folder.stat().st_mode) == 0o700
    assert left(tmp_path) == [made.folder.name]


async def test_an_entry_says_all_of_itself(running: Running, tmp_path: Path) -> None:
    """Wallet, owner, amounts, times, transaction and other side; of a landed leg too."""
    months = await three_months(running)
    made = await export(running, tmp_path)
    entries = lines_of(made.folder / "shard-0-entries.jsonl.gz")
    (moved,) = [one for one in entries if one["delta_minor"] == "-40"]
    assert (moved["wallet_id"], moved["account_id"]) == (format_id(months.ann), "ann")
    assert (moved["balance_after_minor"], moved["currency_code"]) == ("9960", "EUR")
    assert moved["type"] == "TRANSFER"
    assert moved["effective_at"] == f"{to_datetime(JULY.begin_us - 7):%Y-%m-%dT%H:%M:%S.%f}Z"
    assert moved["recorded_at"] == "2026-07-01T00:00:02.000000Z"
    (landed,) = [
        one
        for one in lines_of(made.folder / "shard-1-entries.jsonl.gz")
        if one["wallet_id"] == format_id(months.bob)
    ]
    assert (landed["type"], landed["n"]) == ("LEG", -1)
    assert landed["counterparty"] == "sys:1:transit:EUR"
    assert landed["effective_at"] == landed["recorded_at"]
    world = {one["account"]: one for one in lines_of(made.folder / "trial-balance.jsonl.gz")}
    assert world["transit"]["shard"] == 1
    assert world["transit"]["end_net_minor"] == "-100"


async def test_it_is_the_same_whenever_and_however_it_is_made(
    running: Running, tmp_path: Path
) -> None:
    """Pages of any size, and what came later, in new wallets and currencies, change no byte."""
    months = await three_months(running)
    first = await export(running, tmp_path / "1")
    months.home.transfer(months.home.world("JPY"), months.home.create("JPY"), 5)
    months.home.commit()
    third = Shard(2, SEPTEMBER.begin_us)
    third.create()
    third.commit()
    await running.take(months.home, third)
    running.wallets.snapshots[2] = third.snapshot()
    second = await export(running, tmp_path / "2", pages=Pages())
    assert contents(first.folder) == contents(second.folder)
    assert first.manifest == second.manifest


async def test_a_month_is_never_in_memory(
    running: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever a month holds, no answer of the database has more rows than a page."""
    await three_months(running)
    most: dict[str, int] = {}
    rows_of = Session.rows

    async def counted(self: Session, query: str) -> Rows:
        rows = await rows_of(self, query)
        for table in ("records", "entries"):
            if f"FROM {table} " in query and "SUM(" not in query:
                most[table] = max(most.get(table, 0), len(rows))
        return rows

    monkeypatch.setattr(Session, "rows", counted)
    await export(running, tmp_path, pages=Pages(records=1_000, entries=3))
    assert most["entries"] == 3
    made = await export(running, tmp_path / "again", pages=Pages(records=2, entries=1_000))
    assert most["records"] > 2
    assert most["entries"] > 3
    assert not texts(made.folder)


async def test_a_month_begins_with_its_first_record(running: Running, tmp_path: Path) -> None:
    """Where a clock went back over midnight, the record behind the new month's first is its."""
    home = Shard(0, JULY.begin_us)
    ann = home.create()
    home.commit()
    midnight = AUGUST.begin_us
    # Halving looks at the third of five records first, and would go on behind it.
    for time_us in (midnight, midnight - 1, midnight + 1, SEPTEMBER.begin_us):
        home.transfer(home.world(), ann, 1)
        home.commit(time_us)
    await running.take(home)
    running.wallets.snapshots[0] = home.snapshot()
    july = await export(running, tmp_path)
    august = await export(running, tmp_path, AUGUST)
    spans = [
        (one.manifest.shards[0].first_seq, one.manifest.shards[0].last_seq)
        for one in (july, august)
    ]
    assert spans == [(1, 1), (2, 4)]
    assert not texts(july.folder, august.folder)


async def test_a_month_without_records_links_its_neighbours(
    running: Running, tmp_path: Path
) -> None:
    """Nothing moved in August: its export is empty, and continues July."""
    home = Shard(0, JULY.begin_us)
    home.transfer(home.world(), home.create(), 5)
    home.commit()
    home.create()
    home.commit(SEPTEMBER.begin_us)
    await running.take(home)
    running.wallets.snapshots[0] = home.snapshot()
    july = await export(running, tmp_path)
    august = await export(running, tmp_path, AUGUST)
    (part,) = august.manifest.shards
    assert (part.first_seq, part.last_seq, part.hash_last) == (2, 1, part.hash_before)
    assert not texts(july.folder, august.folder)


async def test_a_month_that_is_not_over_is_refused(running: Running, tmp_path: Path) -> None:
    """Neither the month of now, nor one that ended a moment ago, nor one to come."""
    await three_months(running)
    just = datetime(2026, 8, 1, 0, 9, tzinfo=UTC)
    for month, now in ((SEPTEMBER, NOW), (Month(2027, 1), NOW), (JULY, just)):
        with pytest.raises(ExportError, match=f"month: {month} is not over"):
            await export(running, tmp_path, month, now=now)
    assert not left(tmp_path)
    await export(running, tmp_path, now=datetime(2026, 8, 1, 0, 10, tzinfo=UTC))


async def test_records_that_may_still_come_in_are_waited_for(
    running: Running, tmp_path: Path
) -> None:
    """A shard without a later record here has to stand exactly where the ledger does."""
    months = await three_months(running)
    months.away.create()
    months.away.commit()
    running.wallets.snapshots[1] = months.away.snapshot()
    with pytest.raises(ExportError, match=r"shard: 1 stands at record 4, .* the ledger at 3"):
        await export(running, tmp_path, AUGUST)
    del running.wallets.snapshots[1]
    with pytest.raises(ExportError, match="shard: 1 has no record here behind 2026-08"):
        await export(running, tmp_path, AUGUST)
    running.wallets.snapshots = {n: months.away.snapshot() for n in range(3)}
    await running.take(months.away)
    with pytest.raises(ExportError, match=r"shard: 2 stands at record 4, .* the ledger at 0"):
        await export(running, tmp_path, AUGUST)
    assert not left(tmp_path)


async def test_what_is_there_is_never_written_over(running: Running, tmp_path: Path) -> None:
    """Neither an export, nor what one that runs, or was killed, has left."""
    await three_months(running)
    made = await export(running, tmp_path)
    before = contents(made.folder)
    with pytest.raises(ExportError, match="is there already: an export is never written over"):
        await export(running, tmp_path)
    assert contents(made.folder) == before
    (tmp_path / "guilder-ledger-2026-08.partial").mkdir()
    with pytest.raises(ExportError, match="another export is being made, or was killed"):
        await export(running, tmp_path, AUGUST)
    assert (tmp_path / "guilder-ledger-2026-08.partial").is_dir()


async def test_a_month_before_all_records_is_refused(running: Running, tmp_path: Path) -> None:
    """There is nothing to export, and no folder."""
    await three_months(running)
    with pytest.raises(ExportError, match="2026-06 ended before the first record"):
        await export(running, tmp_path, Month(2026, 6))
    assert not left(tmp_path)


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        ("UPDATE records SET hash=x'00' WHERE shard=0 AND seq=3", "record 3: it does not follow"),
        ("DELETE FROM records WHERE shard=0 AND seq=3", "record 4: it does not follow"),
        ("DELETE FROM entries WHERE shard=0 AND seq=2 LIMIT 1", "entries are kept for"),
        ("UPDATE entries SET delta=delta+1 WHERE shard=0 AND seq=2 LIMIT 1", "not to 0"),
    ],
)
async def test_books_that_do_not_hold_are_not_exported(
    running: Running, tmp_path: Path, fault: str, text: str
) -> None:
    """A month that its check would refuse is refused when it is made, and leaves no folder."""
    await three_months(running)
    await running.sql(fault)
    with pytest.raises(ExportError, match=text):
        await export(running, tmp_path)
    assert not left(tmp_path)


@pytest.mark.parametrize(
    "text",
    ["", "2026", "2026-7", "2026-13", "2026-00", "26-07", "2026-07-01", "1969-12", "٢٠٢٦-07"],
)
def test_a_month_has_one_form(text: str) -> None:
    """Anything else is refused with its value and the rule."""
    with pytest.raises(ValueError, match="is not a month: YYYY-MM from 1970-01 on"):
        parse_month(text)


def test_a_month_ends_where_the_next_begins() -> None:
    """December too."""
    assert Month(2026, 12).next == Month(2027, 1)
    assert (
        parse_month("2026-02").end_us - parse_month("2026-02").begin_us == 28 * 86_400 * SECOND_US
    )


async def command(*arguments: str, **variables: str) -> tuple[int, str, str]:
    """Run a command of the ledger."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("LEDGER_")} | variables
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "ledger", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment,
    )
    async with asyncio.timeout(COMMAND_TIMEOUT_S):
        out, err = await child.communicate()
    assert child.returncode is not None
    return child.returncode, out.decode(), err.decode()


async def test_the_commands_export_and_check(running: Running, tmp_path: Path) -> None:
    """Exit 0 done, 1 not done and why, 2 a wrong option; a check needs no setting."""
    await three_months(running)
    variables = {
        "LEDGER_LISTEN": "127.0.0.1:0",
        "LEDGER_AUTH_MODE": "trusted",
        "LEDGER_DATABASE_URL": running.url,
        "LEDGER_WALLET_ADDRESS": running.address,
    }
    asked = ("export", "--month", "2026-07", "--into", str(tmp_path))
    code, out, err = await command(*asked, **variables)
    assert code == 0, err
    folder = tmp_path / "guilder-ledger-2026-07"
    assert out.splitlines()[0] == str(folder)
    code, out, err = await command(*asked, **variables)
    assert (code, out) == (1, "")
    assert "is there already" in err
    code, out, err = await command("check-export", str(folder))
    assert (code, out) == (0, "")
    assert err.startswith("holds: 2026-07, ")
    made = manifest_of(folder)
    (folder / MANIFEST_FILE).unlink()
    assert made["version"]
    code, out, _ = await command("check-export", str(folder))
    assert code == 1
    assert out.startswith(f"{folder / MANIFEST_FILE}: no finished export")
    code, _, err = await command("export", "--month", "2026-7", "--into", str(tmp_path))
    assert code == 2
    assert "argument --month: '2026-7' is not a month" in err
    code, _, err = await command("check-export", str(tmp_path / "nowhere"))
    assert code == 2
    assert "nowhere' is not a folder that is there" in err


async def test_records_of_every_kind_hold(running: Running, tmp_path: Path) -> None:
    """Returned legs, frozen wallets, account freezes and holds that outlive their month."""
    home, away = Shard(0, JULY.begin_us), Shard(1, JULY.begin_us)
    ann, bob = home.create(), away.create(account_id="bob")
    home.transfer(home.world(), ann, 1_000)
    home.commit()
    away.commit()
    hold = home.authorize(ann, 90)
    home.freeze_account("ann", events.ACCOUNT_FREEZE_ALL)
    home.commit()
    home.freeze_account("ann", events.ACCOUNT_FREEZE_UNSPECIFIED)
    home.limit(ann, 50)
    back = home.send(ann, bob, 9)
    home.commit(AUGUST.begin_us + 1)
    intent = away.send_back(back.transaction_id, back.intents[0], ann)
    away.commit(AUGUST.begin_us + 2)
    home.land(back.transaction_id, intent)
    home.close(back.transaction_id, state=events.TRANSACTION_STATE_RETURNED)
    home.capture(hold, home.world(), 90)
    home.commit()
    for shard in (home, away):
        shard.create()
        shard.commit(SEPTEMBER.begin_us)
    await running.take(home, away)
    running.wallets.snapshots = {0: home.snapshot(), 1: away.snapshot()}
    july = await export(running, tmp_path)
    august = await export(running, tmp_path, AUGUST)
    assert not texts(july.folder, august.folder)
    assert not texts(august.folder)


class Full(io.BytesIO):
    """A file on a full disk."""

    def write(self, _: object) -> int:
        """Write nothing."""
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


async def test_a_full_disk_is_told_as_one(
    running: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not as a database that fails; and nothing is left of the export."""
    await three_months(running)
    with pytest.raises(ExportError, match=r"into: a can't be written: .*No space left on device"):
        PackedFile("a", Full())
    monkeypatch.setattr("os.fsync", Full().write)
    with pytest.raises(ExportError, match=r"can't be written: .*No space left on device"):
        await export(running, tmp_path)
    assert not left(tmp_path)
