"""Statements over the API: opening + entries = closing, as messages and as CSV."""

import csv
import io
import json
import random
from typing import Any, NamedTuple

import grpc.aio
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from guilder.events.v1 import record_pb2 as events
from guilder.ledger.v1 import ledger_service_pb2 as api
from guilder.type.v1.position_pb2 import Position
from ledger.api.statement_csv import COLUMNS, defused
from ledger.store import statement
from tests.ledger.running import Running, info_of, reason_of
from tests.ledger.shards import SECOND_US, START_US, Shard, send_across
from tests.ledger.test_effective import Move, moved
from tests.ledger.test_reads import DAY_US, at
from walletkit.ids import format_id, new_id

CSV = api.STATEMENT_FORMAT_CSV
RECORDED, EFFECTIVE = api.STATEMENT_BASIS_RECORDED, api.STATEMENT_BASIS_EFFECTIVE

NASTY = [
    "=1+1",
    "+31 20 123",
    "-5",
    "@SUM(A1)",
    "'quoted",
    'say "hi", twice',
    "two\r\nlines",
    "\ttab",
    "a,b;c",
    "žluťoučký 🐎",
    "\rreturn",
    "",
]


class Statement(NamedTuple):
    """A statement that has come in whole."""

    header: api.StatementHeader
    lines: list[api.StatementLine]
    footer: api.StatementFooter


async def parts_of(running: Running, **query: object) -> list[api.GetStatementResponse]:
    """Ask for a statement and return all its parts."""
    request = api.GetStatementRequest(**query)  # type: ignore[arg-type]
    return [part async for part in running.stub.GetStatement(request, timeout=20)]


async def statement_of(running: Running, **query: object) -> Statement:
    """Ask for a statement as messages, and check its form."""
    first, *middle, last = await parts_of(running, **query)
    assert first.WhichOneof("part") == "header"
    assert {part.WhichOneof("part") for part in middle} <= {"lines"}
    assert last.WhichOneof("part") == "footer"
    sizes = [len(part.lines.lines) for part in middle]
    assert all(0 < size <= statement.AT_ONCE for size in sizes)
    return Statement(first.header, [ln for p in middle for ln in p.lines.lines], last.footer)


def delta_of(line: api.StatementLine) -> int:
    """Return what a line adds to the balance."""
    sign = 1 if line.entry.side == api.ENTRY_SIDE_CREDIT else -1
    return sign * line.entry.amount_minor


def check(found: Statement) -> None:
    """Opening and lines come to each balance and to the closing one."""
    balance = int(found.header.opening_minor)
    debit = credit = 0
    for line in found.lines:
        delta = delta_of(line)
        balance += delta
        debit, credit = debit - min(delta, 0), credit + max(delta, 0)
        assert int(line.balance_minor) == balance
    assert int(found.footer.closing_minor) == balance
    assert (int(found.footer.debit_minor), int(found.footer.credit_minor)) == (debit, credit)
    assert found.footer.line_count == len(found.lines)


async def test_a_statement_tells_what_happened(running: Running) -> None:
    """Header, lines oldest first with the callers' words, and the sums."""
    home, away = Shard(0), Shard(1)
    ann, bob = home.create(account_id="ann"), away.create()
    deposit = home.transfer(home.world(), ann, 1_000)
    deposit.reference = b"payday"
    deposit.opaque = b'{"d":"October","m":{"k":"v"}}'
    home.commit()
    away.commit()
    tx_id = send_across(home, away, ann, bob, 250)
    await running.take(home, away)
    found = await statement_of(running, wallet_id=format_id(ann))
    check(found)
    assert found.header == api.StatementHeader(
        wallet_id=format_id(ann),
        account_id="ann",
        currency_code="EUR",
        exponent=2,
        opening_minor="0",
        basis=RECORDED,
        position=Position(shard=0, seq=3),
        version=3,
    )
    first, second = found.lines
    assert (first.type, first.reference, first.description) == (
        events.TRANSACTION_TYPE_DEPOSIT,
        "payday",
        "October",
    )
    assert second.entry.transaction_id == format_id(tx_id)
    assert second.entry.create_time == second.effective_time
    assert (found.footer.closing_minor, found.footer.debit_minor) == ("750", "250")
    there = await statement_of(running, wallet_id=format_id(bob))
    assert [line.type for line in there.lines] == [events.TRANSACTION_TYPE_TRANSFER]


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_opening_and_entries_come_to_closing_whatever_the_period(
    running: Running, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """By recorded and by effective times, over random walks and periods, with small chunks."""
    monkeypatch.setattr(statement, "AT_ONCE", 7)
    rng = random.Random(seed)
    shard, wallet, moves = moved(rng)
    await running.take(shard)
    times = sorted({t for move in moves for t in (move.recorded_us, move.effective_us)})
    periods: list[tuple[int | None, int | None]] = [
        *((None, None), (None, times[4]), (times[-3], None), (times[2], times[2])),
    ]
    for _ in range(8):
        first, last = sorted(rng.choices(times, k=2))
        periods.append((first, last))
    for start, end in periods:
        bounds = {}
        if start is not None:
            bounds["start_time"] = at(start)
        if end is not None:
            bounds["end_time"] = at(end)
        for wallet_id in (wallet, shard.world()):
            for basis in (RECORDED, EFFECTIVE):
                query = {"wallet_id": format_id(wallet_id), "basis": basis, **bounds}
                found = await statement_of(running, **query)
                check(found)
                sign = 1 if wallet_id == wallet else -1
                expected = expected_of(moves, start, end, effective=basis == EFFECTIVE)
                assert int(found.header.opening_minor) == sign * expected[0]
                deltas = [delta_of(line) for line in found.lines]
                assert sorted(deltas) == sorted(sign * delta for _, delta in expected[1])
                shown = [line.effective_time.ToMicroseconds() for line in found.lines]
                if basis == EFFECTIVE:
                    assert shown == [time_us for time_us, _ in expected[1]]


def expected_of(
    moves: list[Move], start: int | None, end: int | None, *, effective: bool
) -> tuple[int, list[tuple[int, int]]]:
    """Return opening balance and lines, as time and amount, of a period."""
    timed = sorted(
        (move.effective_us if effective else move.recorded_us, move.delta) for move in moves
    )
    opening = sum(delta for time_us, delta in timed if start is not None and time_us < start)
    lines = [
        (time_us, delta)
        for time_us, delta in timed
        if (start is None or time_us >= start) and (end is None or time_us < end)
    ]
    return opening, lines


async def test_a_statement_is_as_of_its_beginning(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What comes in while it is read is left out, also what counts in its period."""
    monkeypatch.setattr(statement, "AT_ONCE", 3)
    shard = Shard()
    ann = shard.create()
    for _ in range(200):
        shard.transfer(shard.world(), ann, 1)
    shard.commit()
    await running.take(shard)
    for basis in (RECORDED, EFFECTIVE):
        before = shard.wallets[ann].posted
        request = api.GetStatementRequest(wallet_id=format_id(ann), basis=basis)
        call = running.stub.GetStatement(request, timeout=20)
        parts = [await call.read()]
        shard.transfer(shard.world(), ann, 1_000).effective_time_us = START_US - DAY_US
        shard.transfer(shard.world(), ann, 2_000)
        shard.commit()
        await running.ingest(0, shard.records[-1:])
        await read_rest(call, parts)
        assert int(parts[-1].footer.closing_minor) == before
        now = await statement_of(running, wallet_id=format_id(ann), basis=basis)
        check(now)
        assert int(now.footer.closing_minor) == before + 3_000


async def test_a_landing_without_its_home_is_a_line_without_words(running: Running) -> None:
    """The money is there; who sent it and why comes with the home's record."""
    home, away = Shard(0), Shard(1)
    ann, bob = home.create(), away.create()
    home.transfer(home.world(), ann, 100)
    home.commit()
    away.commit()
    send_across(home, away, ann, bob, 40)
    await running.take(away)
    for basis in (RECORDED, EFFECTIVE):
        found = await statement_of(running, wallet_id=format_id(bob), basis=basis)
        check(found)
        (line,) = found.lines
        assert (line.type, line.reference) == (events.TRANSACTION_TYPE_UNSPECIFIED, "")


async def test_an_empty_statement_has_its_balance(running: Running) -> None:
    """A wallet without an entry, and a period without one."""
    shard = Shard()
    ann, bob = shard.create(), shard.create()
    shard.transfer(shard.world(), bob, 7)
    shard.commit()
    await running.take(shard)
    for wallet, start_us, balance in ((ann, 0, "0"), (bob, START_US + DAY_US, "7")):
        found = await statement_of(running, wallet_id=format_id(wallet), start_time=at(start_us))
        check(found)
        assert (found.lines, found.footer.closing_minor) == ([], balance)


async def test_a_statement_that_does_not_add_up_is_not_given(running: Running) -> None:
    """Entries that were tampered with end the stream with INTERNAL, and without a footer."""
    shard = Shard()
    ann = shard.create()
    for _ in range(3):
        shard.transfer(shard.world(), ann, 10)
    shard.commit()
    await running.take(shard)
    wallet = f"wallet_id=x'{ann.hex()}'"
    for damage, basis in (
        (f"UPDATE entries SET delta=11 WHERE version=3 AND {wallet}", RECORDED),
        (f"DELETE FROM entries WHERE version=3 AND {wallet}", RECORDED),
        (f"UPDATE accounts SET posted=31 WHERE {wallet}", EFFECTIVE),
    ):
        await running.sql(damage)
        request = api.GetStatementRequest(wallet_id=format_id(ann), basis=basis)
        call = running.stub.GetStatement(request, timeout=20)
        parts = [await call.read()]
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await read_rest(call, parts)
        assert refused.value.code() == grpc.StatusCode.INTERNAL
        assert not any(part.HasField("footer") for part in parts)


async def read_rest(call: Any, parts: list[api.GetStatementResponse]) -> None:  # noqa: ANN401
    """Read a stream to its end."""
    while (part := await call.read()) is not grpc.aio.EOF:
        parts.append(part)


async def rows_of(running: Running, **query: object) -> list[dict[str, str]]:
    """Ask for a statement as CSV and read it."""
    parts = await parts_of(running, format=CSV, **query)
    assert {part.WhichOneof("part") for part in parts} == {"csv"}
    text = b"".join(part.csv for part in parts).decode()
    assert text.endswith("\r\n")
    return list(csv.DictReader(io.StringIO(text, newline="")))


async def test_csv_gives_back_every_text_and_amount(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Read by any CSV reader, with a leading apostrophe taken off, it is what callers said."""
    monkeypatch.setattr(statement, "AT_ONCE", 5)
    shard = Shard()
    ann = shard.create(account_id="-ann")
    for number, text in enumerate(NASTY):
        transaction = shard.transfer(shard.world(), ann, 10_005 + number)
        transaction.reference = text.encode()
        transaction.opaque = json.dumps({"d": text * 2}).encode()
    shard.commit()
    await running.take(shard)
    query = {"wallet_id": format_id(ann), "end_time": at(shard.time_us + 1)}
    messages = await statement_of(running, **query)
    opening, *entries, debits, credits_, closing = await rows_of(running, **query)
    assert tuple(opening) == COLUMNS
    assert [opening["row"], debits["row"], credits_["row"], closing["row"]] == [
        *("opening", "debits", "credits", "closing"),
    ]
    assert len(entries) == len(NASTY)
    for row, line, text in zip(entries, messages.lines, NASTY, strict=True):
        assert row["reference"].removeprefix("'") == text or row["reference"] == text
        assert row["description"] == defused(text * 2)
        assert not row["description"].startswith(("=", "+", "-", "@", "\t", "\r"))
        assert row["account_id"] == "'-ann"
        assert row["amount_minor"] == str(line.entry.amount_minor)
        assert row["amount"] == f"{line.entry.amount_minor // 100}.{row['amount_minor'][-2:]}"
        assert row["balance_minor"] == line.balance_minor
        assert (row["type"], row["side"]) == ("DEPOSIT", "CREDIT")
        time = Timestamp()
        time.FromJsonString(row["recorded_time"])
        assert time == line.entry.create_time
    assert closing["balance_minor"] == messages.footer.closing_minor
    assert credits_["amount_minor"] == messages.footer.credit_minor
    assert (debits["amount"], opening["balance"]) == ("0.00", "0.00")


def test_a_defused_text_can_be_had_back() -> None:
    """One leading apostrophe is taken off where there is one, and nothing else."""
    for text in NASTY:
        assert defused(text).removeprefix("'") == text
        assert not defused(text).startswith(("=", "+", "-", "@"))


async def test_amounts_below_one_and_below_zero_are_written_in_full(running: Running) -> None:
    """`world` is below zero; yen have no decimals."""
    shard = Shard()
    ann, jun = shard.create(), shard.create("JPY")
    shard.transfer(shard.world(), ann, 7)
    shard.transfer(shard.world("JPY"), jun, 7)
    shard.commit()
    await running.take(shard)
    euros = await rows_of(running, wallet_id="sys:0:world:EUR")
    assert [(row["amount"], row["balance"]) for row in euros] == [
        *(("", "0.00"), ("0.07", "-0.07"), ("0.07", ""), ("0.00", ""), ("", "-0.07")),
    ]
    yens = await rows_of(running, wallet_id=format_id(jun))
    assert yens[-1]["balance"] == "7"


async def test_a_statement_waits_for_its_position(running: Running) -> None:
    """A position that does not come ends with the deadline; one that is here does not hold."""
    shard = Shard()
    ann = shard.create()
    shard.commit()
    await running.take(shard)
    request = api.GetStatementRequest(
        wallet_id=format_id(ann), min_position=Position(shard=0, seq=2)
    )
    with pytest.raises(grpc.aio.AioRpcError) as late:
        await running.stub.GetStatement(request, timeout=0.3).read()
    assert late.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    here = Position(shard=0, seq=1)
    check(await statement_of(running, wallet_id=format_id(ann), min_position=here))


async def test_malformed_statements_name_their_field(running: Running) -> None:
    """Each is INVALID_FIELD; an unknown wallet is not found."""
    wallet = format_id(new_id(0))
    backwards = {"start_time": at(START_US), "end_time": at(START_US - SECOND_US)}
    for field, query in (
        ("wallet_id", {"wallet_id": "x"}),
        ("end_time", {"wallet_id": wallet, **backwards}),
        ("basis", {"wallet_id": wallet, "basis": 9}),
        ("format", {"wallet_id": wallet, "format": 9}),
        ("start_time", {"wallet_id": wallet, "start_time": Timestamp(nanos=-1)}),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await parts_of(running, **query)
        info = info_of(refused.value)
        assert (info.reason, info.metadata["field"]) == ("INVALID_FIELD", field)
    with pytest.raises(grpc.aio.AioRpcError) as unknown:
        await parts_of(running, wallet_id=wallet)
    assert reason_of(unknown.value) == "WALLET_NOT_FOUND"
