"""The ledger's small parts by themselves: packets, page tokens, pacing, folds, settings."""

import asyncio
import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.domain.account import Account
from ledger.domain.holding import Hold
from ledger.domain.journal import Entry
from ledger.domain.record import HoldChange, Label, Leg, Record, Side
from ledger.domain.replay import EMPTY, fold
from ledger.ingest.inbox import MAX_COMMIT_BYTES, MAX_COMMIT_RECORDS, MAX_HELD_BYTES, WINDOW, Inbox
from ledger.ingest.incoming import Incoming
from ledger.settings import load
from ledger.store import commit
from ledger.store.commit import Commit, Kept, packets
from ledger.store.queries import _days
from walletkit.ids import new_id
from walletkit.settings import SettingsError

BYTES16 = st.binary(min_size=16, max_size=16)
INT = st.integers(-(2**62), 2**62)
ENTRY = st.tuples(BYTES16, INT, INT, INT, INT, INT, BYTES16, BYTES16, INT, INT, INT, INT)
ACCOUNT = st.builds(Account, INT, st.text(), st.text(), *([INT] * 9))
HOLD = st.builds(Hold, INT, BYTES16, st.text(), *([INT] * 5))
HOLD_CHANGE = st.builds(
    *(HoldChange, INT, BYTES16, BYTES16, INT, INT, st.text()),
    *([INT] * 5),
    BYTES16,
)
EFFECTIVE = st.tuples(BYTES16, INT, INT, INT, INT, INT)
LABEL = st.builds(Label, BYTES16, INT, BYTES16)
AUDIT_ROW = st.tuples(*([INT] * 4), *([st.binary()] * 10))
LEG = st.builds(
    *(Leg, BYTES16, st.integers(0, 255), st.sampled_from(list(Side)), INT),
    currency=st.text(),
    amount=INT,
    destination=BYTES16,
)
KEPT = st.builds(Kept, INT, BYTES16, BYTES16, INT, st.binary())
LITERALS = re.compile(r"x'(?:[0-9a-f]{2})*'|-?\d+")
STATEMENTS = re.compile(
    r"(INSERT INTO [a-z_]+ VALUES [(?,)]+( ON DUPLICATE KEY UPDATE [a-zVALUES_=(),]+)?"
    r"|DELETE o FROM open_intents o FORCE INDEX \(PRIMARY\) WHERE o\.shard=\? AND o\.leg=\?"
    r" AND o\.tx_id IN \([?,]+\)"
    r"|UPDATE cursors SET seq=\?,hash=\? WHERE shard=\?|COMMIT)"
)


COMMIT = st.builds(
    Commit,
    st.lists(KEPT, min_size=1, max_size=3),
    st.lists(ENTRY, max_size=3),
    st.dictionaries(BYTES16, ACCOUNT, max_size=3),
    st.lists(st.tuples(INT, LEG), max_size=4),
    st.dictionaries(BYTES16, INT, max_size=3),
    st.dictionaries(BYTES16, HOLD, max_size=3),
    st.lists(st.tuples(INT, HOLD_CHANGE), max_size=3),
    st.lists(EFFECTIVE, max_size=3),
    st.lists(st.tuples(INT, INT, LABEL), max_size=3),
    st.dictionaries(st.text(), INT, max_size=3),
    st.lists(AUDIT_ROW, max_size=3),
)


@given(COMMIT)
def test_no_value_can_leave_its_literal(whole: Commit) -> None:
    """Whatever the values are, a packet without its literals is one of a few fixed statements."""
    made = list(packets(0, whole))
    statements = ";".join(made).split(";")
    assert statements[-1] == "COMMIT"
    for statement in statements:
        assert STATEMENTS.fullmatch(LITERALS.sub("?", statement)), statement


@pytest.mark.parametrize("wrong", ["1); DROP TABLE records", 1.5, None, b"1"])
def test_only_integers_pass_as_integers(wrong: object) -> None:
    """A value of another type raises before anything is sent."""
    record = Kept(wrong, bytes(32), bytes(32), 0, b"")  # type: ignore[arg-type]
    with pytest.raises((TypeError, ValueError)):
        list(packets(0, Commit([record])))


def test_large_commits_are_cut_into_packets(monkeypatch: pytest.MonkeyPatch) -> None:
    """No packet outgrows what a server takes, and the last statement is still COMMIT."""
    monkeypatch.setattr(commit, "PACKET_BYTES", 1_000)
    monkeypatch.setattr(commit, "STATEMENT_ROWS", 3)
    records = [Kept(seq, bytes(32), bytes(32), 0, b"x" * 100) for seq in range(1, 20)]
    made = list(packets(0, Commit(records)))
    assert len(made) > 3
    assert max(map(len, made)) < 3_000
    assert made[-1].endswith("COMMIT")
    assert sum(packet.count("x'7878") for packet in made) == 19


def test_what_is_opened_and_closed_in_one_commit_is_never_written() -> None:
    """Only legs that outlive the commit become open intents; others' closings delete."""
    kept, gone, old = new_id(0), new_id(0), new_id(0)
    legs = [
        (1, Leg(kept, 0, Side.SENT, 0, "EUR", 5, new_id(1))),
        (1, Leg(gone, 0, Side.SENT, 1, "EUR", 5, new_id(1))),
        (2, Leg(gone, 0, Side.CLOSED, 0)),
        (2, Leg(old, 0, Side.CLOSED, 1)),
    ]
    record = Kept(1, bytes(32), bytes(32), 0, b"")
    (packet,) = packets(0, Commit([record], legs=legs))
    statements = [s for s in packet.split(";") if "open_intents" in s]
    assert len(statements) == 2
    assert kept.hex() in statements[0]
    assert gone.hex() not in "".join(statements)
    assert statements[1].startswith("DELETE")
    assert old.hex() in statements[1]


@given(st.lists(ENTRY, max_size=8), st.randoms(use_true_random=False))
def test_a_fold_does_not_depend_on_order(entries: list[Entry], rng: object) -> None:
    """Entries may be read back in any order; each change of one shows."""
    shuffled = list(entries)
    rng.shuffle(shuffled)  # type: ignore[attr-defined]
    folded = again = EMPTY
    for entry, other in zip(entries, shuffled, strict=True):
        folded, again = fold(folded, entry), fold(again, other)
    assert folded == again


@pytest.mark.parametrize("place", range(1, 12))
def test_a_fold_shows_each_change(place: int) -> None:
    """Every field counts, also where -1 becomes -2, which hash alike."""
    entry: list[object] = [new_id(0), 1, 1, 1, -1, 1, new_id(0), new_id(0), -1, -1, 1, 3]
    changed = list(entry)
    value = entry[place]
    changed[place] = value - 1 if isinstance(value, int) else new_id(0)
    assert fold(EMPTY, tuple(entry)) != fold(EMPTY, tuple(changed))  # type: ignore[arg-type]


@given(st.integers(0, 30_000), st.integers(0, 30_000))
def test_days_are_looked_through_once_each(newest: int, oldest: int) -> None:
    """The ranges cover all days without overlap, in few steps."""
    ranges = list(_days(newest, oldest))
    covered = sum(last - first + 1 for first, last in ranges)
    assert covered == max(newest - oldest + 1, 0)
    assert all(first <= last for first, last in ranges)
    assert len(ranges) <= 6


def incoming(seq: int, size: int = 10) -> Incoming:
    """Return a record of some size."""
    record = Record(0, 0, 0, [], [], [], [], [], {}, {}, [], [])
    return Incoming(seq, b"", b"", b"", record, size)


async def test_a_lone_record_goes_at_once() -> None:
    """Nothing waits for company that may not come."""
    inbox = Inbox(interval_s=5)
    await inbox.put(incoming(1))
    async with asyncio.timeout(1):
        assert [item.seq for item in await inbox.collect()] == [1]


async def test_what_arrives_within_the_interval_goes_together() -> None:
    """Under load a commit collects until the interval since the last one is over."""
    inbox = Inbox(interval_s=0.1)
    await inbox.put(incoming(1))
    await inbox.collect()
    started = time.monotonic()

    async def send() -> None:
        for seq in range(2, 6):
            await inbox.put(incoming(seq))
            await asyncio.sleep(0.01)

    sending = asyncio.create_task(send())
    assert [item.seq for item in await inbox.collect()] == [2, 3, 4, 5]
    assert time.monotonic() - started < 1
    await sending


async def test_a_full_commit_does_not_wait() -> None:
    """Records and bytes are bounded; a single large record goes by itself."""
    inbox = Inbox(interval_s=60)
    await inbox.put(incoming(1))
    await inbox.collect()
    for seq in range(2, MAX_COMMIT_RECORDS + 4):
        await inbox.put(incoming(seq))
    async with asyncio.timeout(1):
        assert len(await inbox.collect()) == MAX_COMMIT_RECORDS
    await inbox.put(incoming(900, MAX_COMMIT_BYTES * 2))
    async with asyncio.timeout(1):
        assert len(await inbox.collect()) == 2
        assert [item.seq for item in await inbox.collect()] == [900]


async def test_a_full_window_holds_the_reader_back() -> None:
    """A relay that sends beyond its window is not read until there is room."""
    inbox = Inbox(interval_s=0)
    for seq in range(WINDOW):
        await inbox.put(incoming(seq))
    beyond = asyncio.create_task(inbox.put(incoming(WINDOW)))
    await asyncio.sleep(0.01)
    assert not beyond.done()
    await inbox.collect()
    async with asyncio.timeout(1):
        await beyond


async def test_many_bytes_hold_the_reader_back() -> None:
    """Large records fill the memory long before the window is full."""
    inbox = Inbox(interval_s=0)
    await inbox.put(incoming(1, MAX_HELD_BYTES))
    beyond = asyncio.create_task(inbox.put(incoming(2)))
    await asyncio.sleep(0.01)
    assert not beyond.done()
    await inbox.collect()
    async with asyncio.timeout(1):
        await beyond


async def test_what_came_before_a_failure_is_collected_first() -> None:
    """The end of a stream comes after its records."""
    inbox = Inbox(interval_s=60)
    await inbox.put(incoming(1))
    inbox.end(ValueError("bad"))
    assert len(await inbox.collect()) == 1
    with pytest.raises(ValueError, match="bad"):
        await inbox.collect()
    ended = Inbox(interval_s=60)
    ended.end(None)
    assert await ended.collect() == []


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Missing, malformed and unknown variables stop the start by name."""
    monkeypatch.setenv("LEDGER_LISTEN", "127.0.0.1:1")
    monkeypatch.setenv("LEDGER_AUTH_MODE", "trusted")
    monkeypatch.setenv("LEDGER_DATABASE_URL", "mysql://root@127.0.0.1:1/ledger")
    with pytest.raises(SettingsError, match="LEDGER_WALLET_ADDRESS"):
        load()
    monkeypatch.setenv("LEDGER_WALLET_ADDRESS", "127.0.0.1:2")
    assert load().log_level == "INFO"
    assert "root" not in repr(load())
    monkeypatch.setenv("LEDGER_DATABASE_URL", "postgres://secret@x/y")
    monkeypatch.setenv("LEDGER_PORT", "1")
    with pytest.raises(SettingsError, match="LEDGER_PORT: unknown") as refused:
        load()
    assert "LEDGER_DATABASE_URL" in str(refused.value)
    assert "secret" not in str(refused.value)
