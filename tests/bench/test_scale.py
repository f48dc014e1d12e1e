"""Filling a real suite through its calls, what goes on, waits and stops, and what is told of it."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from bench import filling, growth, packed, scale, storage, wallets
from bench.__main__ import main
from bench.filling import Goal, Progress, Room, fill
from bench.growth import Cost, Growth, Moment
from bench.messages import MOST_AHEAD, TRANSFERS_AHEAD, Messages
from bench.model import Run
from bench.scenarios import SCENARIOS, shard_of
from bench.sending import FillError
from bench.storage import Behind, opened
from bench.suite import verified
from guilder.wallet.v1 import wallet_service_pb2 as pb
from tests.bench.runs import a_run, results_of
from walletkit.ids import SLOTS, format_id, new_id
from walletkit.stack import Stack

WALLETS = 300
BATCH = SCENARIOS["batch-100"]
COST = Cost(shard_reads=0.0, books_reads=0.0, disk_busy=0.1, others=0.0)


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look and tell as often as short fills need."""
    monkeypatch.setattr(filling, "_LOOK_S", 0.05)
    monkeypatch.setattr(filling, "_TELL_S", 0.1)


@pytest.fixture(scope="module", autouse=True)
def _nothing_kept(suite: Stack) -> Iterator[None]:
    yield
    (suite.settings.run_dir / scale.KEPT).unlink(missing_ok=True)


async def test_a_fill_makes_what_is_missing_and_no_more(suite: Stack) -> None:
    """Wallets on both shards, funds and transfers; asked again it makes nothing."""
    there = transactions(suite)
    goal = Goal(WALLETS, there + WALLETS + 2_500)
    lines: list[str] = []
    made = await asyncio.to_thread(fill, suite, goal, lines.append)
    assert len(set(made)) >= WALLETS
    assert {shard_of(wallet, 2) for wallet in made} == {0, 1}
    assert transactions(suite) == goal.transactions
    assert "transactions: " in lines[-1]
    async with opened(suite) as found:
        assert await found.behind() == Behind(0, 0)
        there_now = await found.wallets(filling.ACCOUNTS)
    assert sorted(one.wallet_id for one in there_now.values()) == sorted(made)
    assert all(0 < one.posted < 2 * filling.FUNDS_MINOR for one in there_now.values())
    lines.clear()
    assert await asyncio.to_thread(fill, suite, goal, lines.append) == made
    assert lines == []
    assert transactions(suite) == goal.transactions


async def test_a_fill_that_was_ended_goes_on(suite: Stack) -> None:
    """Wallets that it had made stay, those without funds get them, and numbers that lack come."""
    first = await asyncio.to_thread(fill, suite, Goal(40, 0), ignore)
    number = len(first) + 5
    async with wallets.client(suite) as guilder:
        unfunded = await guilder.wallet.create_wallet(
            f"scale-{number}", "EUR", idempotency_key="scale"
        )
    second = await asyncio.to_thread(fill, suite, Goal(number + 10, 0), ignore)
    assert second[: len(first)] == first
    assert len(second) == number + 10
    assert second[number] == unfunded.wallet.wallet_id
    async with opened(suite) as found:
        posted = {one.posted for one in (await found.wallets(filling.ACCOUNTS)).values()}
    assert 0 not in posted


def test_a_fill_within_shards_makes_no_leg(suite: Stack) -> None:
    """Each payee is on its payer's shard."""
    fill(suite, Goal(40, 0), ignore)
    landed = rows(suite, "inbox")
    goal = Goal(40, transactions(suite) + 2_500, within=True)
    fill(suite, goal, ignore)
    assert transactions(suite) == goal.transactions
    assert rows(suite, "inbox") == landed


async def test_a_fill_outlives_a_crash_of_the_service(suite: Stack) -> None:
    """What was under way is sent again with its keys: in the end there is not one too many."""
    goal = Goal(40, transactions(suite) + 12_000)
    filled = threading.Thread(target=fill, args=(suite, goal, ignore))
    filled.start()
    try:
        wait_for(lambda: transactions(suite) > goal.transactions - 11_000)
        suite.kill("wallet")
        suite.start("wallet")
    finally:
        filled.join()
    assert transactions(suite) == goal.transactions
    assert verified(suite)


def test_a_fill_stops_before_the_disk_is_full(suite: Stack) -> None:
    """It makes nothing, and says how it can go on."""
    there = transactions(suite)
    goal = Goal(40, there + 5_000, least_disk_gb=1e6)
    with pytest.raises(FillError, match=r"GB are left .* goes on from here"):
        fill(suite, goal, ignore)
    assert transactions(suite) <= there + 40  # funds, where no other test has made the wallets


def test_a_fill_waits_for_the_ledger(suite: Stack) -> None:
    """Without relay it soon makes no more transfers, and says so; with it, it goes on."""
    fill(suite, Goal(40, 0), ignore)
    goal = Goal(40, transactions(suite) + 30_000, records_behind=3)
    lines: list[str] = []
    suite.stop("relay")
    filled = threading.Thread(target=fill, args=(suite, goal, lines.append))
    filled.start()
    try:
        wait_for(lambda: any("WAITS" in line for line in lines))
        time.sleep(1.0)  # what was under way ends
        stopped_at = transactions(suite)
        assert stopped_at < goal.transactions
        time.sleep(1.0)
        assert transactions(suite) == stopped_at
    finally:
        suite.start("relay")
        filled.join()
    assert transactions(suite) == goal.transactions


def test_a_fill_does_not_wait_for_ever(suite: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """A ledger that gets nothing ends it, and the reason is told."""
    monkeypatch.setattr(filling, "CATCH_UP_S", 1.0)
    fill(suite, Goal(40, 0), ignore)
    suite.stop("relay")
    try:
        with pytest.raises(FillError, match="does not catch up"):
            fill(suite, Goal(40, transactions(suite) + 60_000, records_behind=1), ignore)
    finally:
        suite.start("relay")


def test_what_can_not_be_made_ends_the_fill(suite: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request that is refused for good is not sent again."""
    monkeypatch.setattr(filling, "CURRENCY", "XYZ")
    with pytest.raises(FillError, match="CreateWallet: "):
        fill(suite, Goal(1_000, 0), ignore)


async def test_full_binlogs_are_deleted(suite: Stack) -> None:
    """What a server writes to stays, the files before it go."""
    suite.execute("shard-0", "FLUSH BINARY LOGS")
    async with opened(suite) as found:
        before = await found.binlog_bytes()
        await found.trim_binlogs(2**40)
        assert await found.binlog_bytes() >= before
        # The server keeps a file for a moment, until the engine has what it says.
        async with asyncio.timeout(10):
            while len(suite.execute("shard-0", "SHOW BINARY LOGS").splitlines()) > 1:
                await found.trim_binlogs(0)
                await asyncio.sleep(0.1)
        assert await found.binlog_bytes() < before


async def test_every_table_has_a_size(suite: Stack) -> None:
    """Shards count together, ledger and notify by themselves."""
    async with opened(suite) as found:
        sizes = await found.sizes()
    assert {"shards.outbox", "shards.transactions", "ledger.entries"} <= set(sizes)
    assert {name.partition(".")[0] for name in sizes} == {"shards", "ledger", "notify"}
    assert sizes["shards.transactions"] > 0


def test_messages_keep_to_many_wallets() -> None:
    """Of many wallets as many transfers are made ahead, so that pages come seldom again."""
    count = TRANSFERS_AHEAD + 8_000
    ids = [format_id(new_id(number % SLOTS)) for number in range(count)]
    messages = Messages(BATCH, ids, 2)
    drawn = set()
    for _ in range(count // BATCH.per_call):
        taken = pb.BatchTransferRequest.FromString(messages.take()[1])
        drawn |= {(one.source_wallet_id, one.destination_wallet_id) for one in taken.transfers}
    assert count * 0.99 < len(drawn) <= count < MOST_AHEAD


def test_the_command_measures_before_and_after(
    suite: Stack,
    accounts: Sequence[str],
    described: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It fills in between, proves the books, and a second one takes what the first had measured."""
    out = tmp_path / "results" / "x.json"
    goal = transactions(suite) + 3_000
    asked = ["scale", "--scenarios=batch-100", "--concurrency=2", "--seconds=0.5", "--rounds=2"]
    asked += [f"--wallets={WALLETS}", f"--transactions={goal}", "--least-ratio=0", f"--out={out}"]
    assert main(asked) == 0
    first = growth.from_json(out.read_text())
    assert first.verified
    assert first.empty.wallets == len(accounts)
    assert first.full.wallets >= WALLETS
    assert first.empty.transactions < goal <= first.full.transactions == first.stored
    assert len(first.full.results.runs) == len(first.full.costs) == 2
    assert first.pool_bytes == 64 * 2**20
    capsys.readouterr()
    assert main(["scale", f"--show={out}"]) == 0
    shown = capsys.readouterr().out
    assert "Buffer pool of each server: 64 MiB (GUILDER_BUFFER_POOL_MB)" in shown
    assert "| batch-100 | 2 |" in shown
    monkeypatch.setattr(packed, "measure", lambda *_some, **_others: a_run(scenario="batch-100"))
    assert main([*asked, "--verify-minutes=0"]) == 0
    second = growth.from_json(out.read_text())
    assert second.empty == first.empty
    assert second.verified is None
    assert "NOT verified" in capsys.readouterr().out


def test_calls_by_ghz_are_measured_too(ghz: None, suite: Stack, accounts: Sequence[str]) -> None:
    """Reads are of as many wallets as there are calls."""
    order = scale.Order([SCENARIOS["within"], SCENARIOS["balance"]], 0.5, 1, 8)
    found = scale.measure(suite, order, accounts, 7)
    assert [run.scenario for run in found.results.runs] == ["within", "balance"]
    assert found.transactions == 7
    assert all(run.movements > 0 for run in found.results.runs)
    assert all(cost.shard_reads >= 0 <= cost.others for cost in found.costs)
    assert not list(suite.settings.run_dir.glob("scale-*"))


def test_calls_that_fail_end_it(suite: Stack, unmade: Sequence[str]) -> None:
    """A rate of declined transfers is none."""
    with pytest.raises(scale.FailedError, match="NOT_FOUND"):
        scale.measure(suite, scale.Order([BATCH], 0.2, 1, 1), unmade, 0)


@pytest.mark.parametrize("text", ["", "{}", '{"transactions": 0}'])
def test_what_was_kept_and_can_not_be_read_is_told(suite: Stack, text: str) -> None:
    """It is not measured anew: the suite may be full by now."""
    path = suite.settings.run_dir / scale.KEPT
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    order = scale.Order([BATCH], 0.2, 1, 1)
    try:
        with pytest.raises(scale.FailedError, match="delete it"):
            scale.scale(suite, order, Goal(1, 0))
    finally:
        path.unlink()


def test_a_suite_that_does_not_run_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It says what to do, and fills nothing."""
    monkeypatch.setenv("GUILDER_RUN_DIR", str(tmp_path))
    assert main(["scale"]) == 1
    assert "make up" in capsys.readouterr().err


def test_ratios_are_of_the_best_rounds() -> None:
    """Each full run is held against the empty one of its scenario and concurrency."""
    found = a_growth(
        empty=[a_run(rate=900.0), a_run(rate=1_000.0), a_run(scenario="balance", rate=400.0)],
        full=[a_run(rate=740.0), a_run(rate=500.0), a_run(scenario="balance", rate=300.0)],
    )
    assert growth.ratios(found) == {("within", 128): 0.74, ("balance", 128): 0.75}
    assert growth.broken(found, 0.75) == ["within at 128: 74% of the rate in the empty suite"]
    assert growth.from_json(growth.to_json(found)) == found


def test_tables_show_both_sizes() -> None:
    """Rates beside each other, page reads, bytes a transaction; tables of nothing are left out."""
    found = a_growth([a_run(rate=1_000.0)], [a_run(rate=800.0), a_run(scenario="hot")])
    shown = growth.tables(found)
    assert "| within | 128 | 1,000 | 800 | 80% | 3.0, 3.0 | 0.00, 0.00 |" in shown
    assert "| hot | 128 | ? | 1,000 | ? |" in shown
    assert "| shards.outbox | 1.500 | 80.5 |" in shown
    assert "| sum | 2.000 | 107.4 |" in shown
    assert "notify.subscriptions" not in shown
    assert "shards 1.5 GiB, ledger 0.5 GiB" in shown
    assert "kept to transfers within a shard" in shown
    assert "NOT hold" in growth.tables(replace(found, verified=False))


@pytest.mark.parametrize(
    ("run", "cost", "said"),
    [
        # 1,000/s of 1,500 us are three quarters of two cores.
        (a_run(cpu_us={"wallet": 1_500.0}, lag_s=0.0), replace(COST, others=0.1), "processors"),
        (a_run(cpu_us={"wallet": 1_500.0}, lag_s=0.0), replace(COST, disk_busy=0.95), "disk"),
        (a_run(cpu_us={"wallet": 100.0}), replace(COST, disk_busy=None), "neither: "),
        (a_run(lag_s=2.0), COST, "; the ledger can't follow"),
    ],
)
def test_what_binds_is_what_has_nothing_left(run: Run, cost: Cost, said: str) -> None:
    """Processors, others' work included, or the disk; else it says that neither does."""
    assert said in growth.binding(run, cost, 2)


def test_progress_tells_what_the_disk_will_have() -> None:
    """As much again for each that is missing; binlogs come and go, and count as free."""
    progress = Progress("transactions", 30, 100, Room(90 * 10**9, 0), time.monotonic() - 60, 10)
    told = progress.told(Behind(3, 5), Room(68 * 10**9, 2 * 10**9))
    assert "transactions: 30 of 100  0/s  4 min left" in told
    assert "ledger 3 commits behind, 5 legs under way" in told
    assert "disk 68.0 GB left, -2 at its end (binlogs 2.0)" in told


def test_the_disk_tells_how_busy_it_was(tmp_path: Path) -> None:
    """More and more, where the system says it at all."""
    first = storage.disk_busy_seconds(tmp_path)
    second = storage.disk_busy_seconds(tmp_path)
    assert (first is None) == (second is None)
    assert first is None or second is None or 0 <= first <= second


def a_growth(empty: list[Run], full: list[Run]) -> Growth:
    """Return runs of two sizes, and a few tables."""
    tables = {"ledger.entries": 2**29, "shards.outbox": 3 * 2**29, "notify.subscriptions": 16_384}
    moments = [
        Moment(size, 1_000, results_of(runs), [COST for _ in runs])
        for size, runs in ((0, empty), (20_000_000, full))
    ]
    return Growth(
        *(2, 512 * 2**20, tables, 20_000_000, moments[0], moments[1]), verified=True, within=True
    )


def transactions(stack: Stack) -> int:
    """Count the transactions of all shards."""
    return rows(stack, "transactions")


def rows(stack: Stack, table: str) -> int:
    """Count a table's rows over all shards."""
    count = f"SELECT COUNT(*) FROM wallet_{{}}.{table}"
    return sum(int(stack.execute(f"shard-{n}", count.format(n))) for n in range(2))


def wait_for(come: Callable[[], bool]) -> None:
    """Wait until something has come, half a minute at most."""
    deadline = time.monotonic() + 30
    while not come():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def ignore(_line: str) -> None:
    """Hear nothing."""
