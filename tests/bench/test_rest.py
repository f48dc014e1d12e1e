"""REST beside gRPC: what is sent, what is read of an answer, the turns, and runs on a suite."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from bench import calls, rest
from bench.http_load import NONE_LEFT, AnswerError, read_answer, read_messages, request_of
from bench.scenarios import SCENARIOS
from guilder.wallet.v1.wallet_service_pb2 import TransferRequest
from tests.bench.runs import a_run, results_of
from walletkit.stack import Stack

CHUNKED = (
    b"HTTP/1.1 400 X\r\ntransfer-encoding: chunked\r\n\r\n"
    b"5\r\n\r\n0\r\n\r\nA\r\n0123456789\r\n0\r\n\r\n"
)
WITHIN, UNIFORM = SCENARIOS["within"], SCENARIOS["uniform"]


def requests(
    accounts: Sequence[str], folder: Path, count: int
) -> tuple[Path, list[TransferRequest]]:
    """Write transfers as a run does, and read them as the client does."""
    data = folder / "calls"
    calls.write(data, calls.requests(WITHIN, accounts, 2, count))
    return data, list(read_messages(data.read_bytes()))


def test_a_request_is_a_clients(unmade: Sequence[str], tmp_path: Path) -> None:
    """JSON as proto3 has it, the token and the key in headers; every key another."""
    _, messages = requests(unmade, tmp_path, 300)
    assert len({one.idempotency_key for one in messages}) == 300
    head, _, body = request_of(messages[0], "host:1", "tok").partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    assert first == "POST /v1/transfers HTTP/1.1"
    assert dict(line.split(": ", 1) for line in lines) == {
        "Host": "host:1",
        "Authorization": "Bearer tok",
        "Content-Type": "application/json",
        "Idempotency-Key": messages[0].idempotency_key,
        "Content-Length": str(len(body)),
    }
    assert json.loads(body) == {
        "sourceWalletId": messages[0].source_wallet_id,
        "destinationWalletId": messages[0].destination_wallet_id,
        "amount": {
            "currencyCode": "EUR",
            "amountMinor": str(messages[0].amount.amount_minor),
        },
    }


@pytest.mark.parametrize(
    ("text", "status"),
    [
        (b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nab\r\nc", 200),
        (b"HTTP/1.1 503 X\r\nContent-Length: 0\r\n\r\n", 503),
        (CHUNKED, 400),
        (b"HTTP/1.1 401 X\r\nConnection: close\r\ncontent-length: 1\r\n\r\nx", 401),
    ],
)
async def test_an_answer_is_read_to_its_end(text: bytes, status: int) -> None:
    """By its length or in chunks, line ends inside included: what follows is the next answer's."""
    reader = asyncio.StreamReader()
    reader.feed_data(text + text)
    stays = b"close" not in text
    assert [await read_answer(reader) for _ in range(2)] == [(status, stays)] * 2
    assert not reader._buffer  # type: ignore[attr-defined]  # asyncio's own


@pytest.mark.parametrize(
    "text", [b"", b"HTTP/1.1 200", b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nx", b"?\r\n\r\n"]
)
async def test_half_an_answer_is_none(text: bytes) -> None:
    """A connection that ends is told, and counts as no transfer."""
    reader = asyncio.StreamReader()
    reader.feed_data(text)
    reader.feed_eof()
    with pytest.raises(AnswerError):
        await read_answer(reader)


def test_doors_take_turns() -> None:
    """All three are measured side by side, and each is the first of a round once."""
    steps = list(rest.steps(rest.Scope([WITHIN, UNIFORM], [128, 1], 3, 1.0)))
    assert len(steps) == len(set(steps)) == 3 * 2 * 2 * 3
    for start in range(0, len(steps), 3):
        assert {one.door for one in steps[start : start + 3]} == set(rest.DOORS)
    assert {one.door for one in steps[:: 3 * 2 * 2]} == set(rest.DOORS)


def test_the_tables_hold_each_door_against_the_wallet() -> None:
    """Shares are taken round by round; the load generator is no part of the sum."""
    runs = [
        a_run(scenario=f"within {door}", round=round_, rate=rate, cpu_us=used)
        for round_, slow in ((1, 1.0), (2, 0.5))
        for door, rate, used in (
            ("rest", 600 * slow, {"wallet": 100.0, "envoy": 90.0, "load": 50.0}),
            ("direct", 1_000 * slow, {"wallet": 100.0, "load": 70.0}),
        )
    ]
    text = rest.tables(results_of(runs))
    lines = [line for line in text.splitlines() if line.startswith("| within")]
    assert "| 1,000 | 750 |" in lines[0]
    assert "| 100% |" in lines[0]
    assert "| 60% |" in lines[1]
    assert lines[2].endswith("| 70 | 100 |")
    assert lines[3].endswith("| 50 | 190 |")


def test_a_run_over_rest_is_what_the_shards_have(
    suite: Stack, accounts: list[str], tmp_path: Path
) -> None:
    """Transfers by HTTP are made, counted, and cost Envoy and edge something."""
    before = transactions(suite)
    token = suite.issuer.sign("bench", ["service"])
    step = rest.Step(UNIFORM, "rest", 3, 7)
    run = rest.measure(suite, step, accounts, 1.0, tmp_path, token)
    assert run.errors == {}
    assert run.movements == run.calls == transactions(suite) - before > 0
    assert (run.scenario, run.concurrency, run.round) == ("uniform rest", 3, 7)
    assert 0 < run.p50_ms <= run.p99_ms
    assert min(run.cpu_us[name] for name in ("envoy", "wallet", "load")) > 0


def test_a_refused_token_is_an_error(suite: Stack, accounts: list[str], tmp_path: Path) -> None:
    """What HTTP refuses is told by its status, and is no transfer."""
    run = rest.measure(suite, rest.Step(WITHIN, "rest", 2, 1), accounts, 0.3, tmp_path, "bad")
    assert run.movements == 0
    assert list(run.errors) == ["HTTP 401"]


def test_all_doors_and_the_books(ghz: None, suite: Stack, accounts: list[str]) -> None:
    """Straight, through Envoy and as JSON: no call fails, and the books hold."""
    scope = rest.Scope([WITHIN], [2], 1, 0.5)
    results, failures = rest.run(suite, scope, accounts)
    assert failures == []
    assert results.verified == {"within": True}
    assert {run.scenario for run in results.runs} == {f"within {door}" for door in rest.DOORS}
    straight = next(run for run in results.runs if run.scenario == "within direct")
    assert straight.cpu_us["envoy"] < straight.cpu_us["wallet"] / 4
    assert NONE_LEFT not in {name for run in results.runs for name in run.errors}


def transactions(suite: Stack) -> int:
    """Count what the shards have."""
    return sum(
        int(suite.execute(f"shard-{n}", f"SELECT COUNT(*) FROM wallet_{n}.transactions"))
        for n in range(2)
    )
