"""`guilder top`: recorded scrapes give the view that they are of; a running suite gives its own."""

import asyncio
import json
import os
import pty
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from guilder.cli.app import app
from guilder.cli.top.scraping import samples_of
from guilder.cli.top.show import MAX_ROWS, draw
from guilder.cli.top.view import View, view
from guilder.cli.top.window import Buckets, Frame, Told, Window
from guilder.client import Addresses, Guilder
from walletkit.stack import Stack
from walletkit.stack.settings import MEASURED, free_ports

SCRAPES = Path(__file__).parent / "scrapes"
"""Each process of a suite of two shards, before and after 240 transfers, 18 declines, 36 reads."""
TOP = ("env", "--default-signal=INT", sys.executable, "-P", "-m", "guilder.cli", "top")
"""Ctrl-C ends it, even where whoever started the tests has that ignored, as a shell's `&` does."""
APART_S = 2.0
"""What the tests take for the time between them."""


def recorded(number: int) -> Frame:
    """Return the first or the second scrape of all processes."""
    told = [
        Told(name, f"{name}:1", samples_of((SCRAPES / f"{name}-{number}.txt").read_text("utf-8")))
        for name in MEASURED
    ]
    health = dict.fromkeys(("wallet", "ledger", "notify", "edge"), "SERVING")
    return Frame(100 + APART_S * number, tuple(told), health)


def told(text: str, service: str = "wallet", address: str = "a:1") -> Told:
    """Return a process that answers this."""
    return Told(service, address, samples_of(text))


def both(before: str, after: str) -> Window:
    """Return the two seconds between two answers of one process."""
    return Window(Frame(0, (told(before),)), Frame(APART_S, (told(after),)))


def test_money_and_declines_of_a_recording() -> None:
    """What the counters grew by, in a second."""
    shown = view(recorded(1), recorded(2))
    assert {rate.name: rate.per_s for rate in shown.transactions} == {
        "transfer completed": 78,
        "transfer processing": 42,
        "transfer declined": 9,
    }
    assert [(rate.name, rate.per_s) for rate in shown.declines] == [("INSUFFICIENT_FUNDS", 9)]
    assert shown.window_s == APART_S
    assert shown.alarms == ()


def test_shards_of_a_recording() -> None:
    """Commands, batches and their size, commits, queue and sessions, by shard."""
    zero, one = view(recorded(1), recorded(2)).shards
    assert (zero.shard, zero.commands_per_s, zero.batches_per_s) == ("0", 63, 14.5)
    assert (one.shard, one.commands_per_s, one.batches_per_s) == ("1", 150, 14.5)
    assert zero.batch_commands == pytest.approx(126 / 29)
    assert (zero.up, zero.queue, zero.queue_limit) == (True, 0, 10_000)
    assert zero.commit_ms is not None
    assert zero.commit_p99_ms is not None
    assert 0 < zero.commit_ms < zero.commit_p99_ms < 1_000
    assert zero.sessions_max > 0


def test_streams_and_slow_calls_of_a_recording() -> None:
    """Each shard has both sinks; the calls of the window alone are there, the slowest first."""
    shown = view(recorded(1), recorded(2))
    places = [(one.shard, one.sink, one.connected) for one in shown.sinks]
    assert places == [
        *(("0", "ledger", True), ("0", "notify", True)),
        *(("1", "ledger", True), ("1", "notify", True)),
    ]
    assert all(one.records_per_s > 0 for one in shown.sinks)
    transfer, balance = sorted(shown.slowest, key=lambda rpc: rpc.method, reverse=True)
    assert (transfer.method, transfer.calls_per_s) == ("WalletService/Transfer", 129)
    assert (balance.method, balance.calls_per_s) == ("WalletService/GetBalance", 18)
    assert (transfer.failed_per_s, balance.failed_per_s) == (9, 0)
    assert shown.slowest[0].p99_ms >= shown.slowest[1].p99_ms
    assert all(rpc.p50_ms <= rpc.p99_ms for rpc in shown.slowest)


def test_processes_of_a_recording() -> None:
    """CPU is a rate, memory is of now."""
    shown = view(recorded(1), recorded(2))
    assert [one.service for one in shown.processes] == list(MEASURED)
    assert all(one.up and one.memory_mib for one in shown.processes)
    wallet = shown.processes[0]
    assert wallet.cpu_cores is not None
    assert 0 < wallet.cpu_cores < 2
    assert wallet.loop_lag_p99_ms is not None


def test_the_first_frame_has_no_rates() -> None:
    """Only what is of now can be shown."""
    shown = view(None, recorded(2))
    assert not [*shown.transactions, *shown.declines, *shown.slowest]
    assert [one.commands_per_s for one in shown.shards] == [0, 0]
    assert all(one.cpu_cores is None and one.memory_mib for one in shown.processes)


def test_a_counter_that_begins_anew_counts_from_nothing() -> None:
    """A restarted process makes no negative rate, and none of what it had counted before."""
    assert both("x_total 100", "x_total 4").rates("x_total") == {(): 2}
    assert both("x_total 100", "x_total 104").rates("x_total") == {(): 2}


def test_a_series_that_is_new_began_at_nothing() -> None:
    """A label appears with the first thing that it counts; of a new process nothing is known."""
    window = both('x_total{a="1"} 5', 'x_total{a="1"} 5\nx_total{a="2"} 6')
    assert window.rates("x_total", "a") == {("1",): 0, ("2",): 3}
    fresh = Window(Frame(0, ()), Frame(APART_S, (told("x_total 1000"),)))
    assert fresh.rates("x_total") == {}


def test_workers_and_processes_are_added_up() -> None:
    """Each by itself first: one that began anew takes nothing from the other."""
    before = 'x_total{worker="0"} 10\nx_total{worker="1"} 50'
    after = 'x_total{worker="0"} 30\nx_total{worker="1"} 2'
    assert both(before, after).rates("x_total") == {(): 11}
    two = [
        Frame(at, tuple(told(text, address=name) for name in "ab"))
        for at, text in ((0, before), (APART_S, after))
    ]
    assert Window(*two).rates("x_total") == {(): 22}


@pytest.mark.parametrize(
    ("share", "value"), [(0.25, 0.0075), (0.5, 0.01), (0.9, 0.018), (1.0, 0.02)]
)
def test_a_quantile_lies_within_its_bucket(share: float, value: float) -> None:
    """As Prometheus has it: evenly between the bounds of the bucket that it falls into."""
    buckets = Buckets()
    buckets.below |= {0.005: 0, 0.01: 50, 0.02: 100, float("inf"): 100}
    assert buckets.quantile(share) == pytest.approx(value)


def test_a_quantile_beyond_all_bounds_is_the_last_bound() -> None:
    """Nobody knows how far beyond; without any value there is none."""
    buckets = Buckets()
    buckets.below |= {0.01: 0, 30.0: 1, float("inf"): 100}
    assert buckets.quantile(0.99) == 30.0
    assert Buckets().quantile(0.99) is None
    assert Buckets().mean is None


def test_alarms_name_what_is_wrong() -> None:
    """A shard, a sink, a queue, a proof, a process, a service."""
    wallet = told(
        'wallet_shard_up{shard="3"} 0\nwallet_queue_depth{shard="3"} 90\n'
        'wallet_queue_limit{shard="3"} 100'
    )
    relay = told(
        'wallet_relay_connected{shard="3",sink="ledger"} 0\n'
        'wallet_outbox_lag_seconds{shard="3",sink="ledger"} 99',
        "relay",
        "b:1",
    )
    ledger = told('ledger_differences{check="chain",shard="3"} 2', "ledger", "c:1")
    away = Told("edge", "d:1", None, "refused")
    frame = Frame(1, (wallet, relay, ledger, away), {"wallet": "SERVING", "edge": "UNAVAILABLE"})
    assert view(None, frame).alarms == (
        "edge d:1: no metrics: refused",
        "edge: UNAVAILABLE",
        "shard 3 is down",
        "shard 3: queue at 90 of 100",
        "ledger does not take shard 3",
        "ledger is 99 s behind shard 3",
        "the last proof (chain, shard 3) found 2 differences",
    )


def test_of_two_relays_the_one_at_work_counts() -> None:
    """A second relay that waits makes no alarm."""
    lines = 'wallet_relay_connected{{shard="0",sink="ledger"}} {}\n'
    lines += 'wallet_outbox_lag_records{{shard="0",sink="ledger"}} {}'
    frame = Frame(
        0,
        (
            told(lines.format(1, 2), "relay", "a:1"),
            told(lines.format(0, 70), "relay", "b:1"),
        ),
    )
    shown = view(None, frame)
    assert shown.alarms == ()
    assert [(one.connected, one.lag_records) for one in shown.sinks] == [(True, 2)]


def drawn(shown: View, width: int = 120) -> str:
    """Return what a terminal would show."""
    out = Console(width=width, markup=False)
    with out.capture() as capture:
        out.print(draw(shown))
    return capture.get()


def test_a_frame_has_all_tables() -> None:
    """What an operator looks for is on it, and no more rows than fit."""
    shown = view(recorded(1), recorded(2))
    text = drawn(shown)
    for word in ("120 transactions/s", "commit ms", "lag records", "p99 ms", "Transfer", "lag s"):
        assert word in text
    assert "INSUFFICIENT_FUNDS 9.0/s" in text
    many = replace(shown, shards=shown.shards * 20)
    assert f"… {40 - MAX_ROWS} more" in drawn(many)


def test_what_others_named_drives_no_terminal() -> None:
    """A process that is none of ours may tell anything."""
    sample = 'wallet_grpc_request_duration_seconds_{}{{method="x\u001b[2J"{}}} {}'
    lines = [
        [sample.format("bucket", ',le="+Inf"', n), sample.format("sum", "", n)] for n in (0, 1)
    ]
    before, after = ("\n".join(one) for one in lines)
    shown = view(Frame(0, (told(before),)), Frame(1, (told(after),)))
    assert len(shown.slowest) == 1
    assert "\u001b[2J" not in drawn(shown)


@pytest.fixture
def environment(suite: Stack, addresses: dict[str, str]) -> dict[str, str]:
    """Return the variables that lead top to the suite."""
    places = {
        f"GUILDER_{name.upper()}_METRICS_ADDRESS": f"127.0.0.1:{suite.settings.metrics_port(name)}"
        for name in MEASURED
    }
    return {**addresses, **places, "COLUMNS": "140", "LINES": "60"}


@contextmanager
def traffic(suite: Stack) -> Iterator[None]:
    """Move money, and ask for more than there is, all the time."""
    stop = threading.Event()

    async def move() -> None:
        addresses = Addresses(*(suite.address(name) for name in ("wallet", "ledger", "notify")))
        async with Guilder(addresses) as guilder:
            made = [await guilder.wallet.create_wallet(f"top-{n}", "EUR") for n in range(4)]
            wallets = [one.wallet.wallet_id for one in made]
            await guilder.wallet.deposit(wallets[0], ("EUR", 10**9))
            while not stop.is_set():
                await asyncio.gather(
                    *(guilder.wallet.transfer(wallets[0], to, ("EUR", 1)) for to in wallets[1:]),
                    guilder.wallet.transfer(wallets[1], wallets[0], ("EUR", 10**9)),
                    return_exceptions=True,
                )

    running = threading.Thread(target=lambda: asyncio.run(move()))
    running.start()
    try:
        yield
    finally:
        stop.set()
        running.join(30)


def test_one_frame_of_a_running_suite(suite: Stack, environment: dict[str, str]) -> None:
    """With --once it ends by itself; with --json it has all that is drawn."""
    with traffic(suite):
        give_up = time.monotonic() + 60
        while True:
            told_ = CliRunner().invoke(app, ["top", "--once", "--json"], env=environment)
            assert told_.exit_code == 0, told_.output
            shown = json.loads(told_.stdout)
            if {rate["name"] for rate in shown["declines"]} >= {"INSUFFICIENT_FUNDS"}:
                break
            assert time.monotonic() < give_up, shown
        text = CliRunner().invoke(app, ["top", "--once"], env=environment).stdout
    assert shown["alarms"] == []
    assert {one["health"] for one in shown["processes"]} == {"SERVING", ""}
    assert sum(one["commands_per_s"] for one in shown["shards"]) > 0
    methods = {one["method"]: one for one in shown["slowest"]}
    assert methods["WalletService/Transfer"]["p99_ms"] > 0
    assert methods["WalletService/Transfer"]["calls_per_s"] > 0
    assert {(one["shard"], one["sink"]) for one in shown["sinks"]} == {
        (shard, sink) for shard in "01" for sink in ("ledger", "notify")
    }
    for word in ("Processes", "Shards", "Streams", "WalletService/Transfer", "INSUFFICIENT_FUNDS"):
        assert word in text


def test_who_is_away_is_shown_as_away(environment: dict[str, str]) -> None:
    """The others are shown as ever; an address that is none is refused."""
    (dead,) = free_ports(1)
    away = {
        "GUILDER_NOTIFY_METRICS_ADDRESS": f"127.0.0.1:{dead}",
        "GUILDER_NOTIFY_ADDRESS": f"127.0.0.1:{dead}",
    }
    command = ["top", "--once", "--json", "--edge-metrics", ""]
    result = CliRunner().invoke(app, command, env={**environment, **away})
    assert result.exit_code == 0, result.output
    shown = json.loads(result.stdout)
    assert [alarm.split()[0] for alarm in shown["alarms"]] == ["notify", "notify:"]
    assert "edge" not in {one["service"] for one in shown["processes"]}
    assert len(shown["shards"]) == 2
    wrong = CliRunner().invoke(app, ["top", "--relay-metrics", "here"], env=environment)
    assert wrong.exit_code == 2
    assert "host:port" in wrong.output


def test_it_lives_on_a_terminal(environment: dict[str, str]) -> None:
    """It draws frame after frame on a screen of its own, and leaves it at Ctrl-C, with 0."""
    ours, theirs = pty.openpty()
    command = [*TOP, "--interval", "0.3"]
    process = subprocess.Popen(
        command, env={**os.environ, **environment, "TERM": "xterm"}, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    seen, give_up = b"", time.monotonic() + 60
    try:
        while seen.count(b"guilder top") < 4:
            assert time.monotonic() < give_up, seen
            seen += os.read(ours, 65_536)
        process.send_signal(signal.SIGINT)
        while True:
            try:
                more = os.read(ours, 65_536)
            except OSError:
                break
            if not more:
                break
            seen += more
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()
        os.close(ours)
    assert b"\x1b[?1049h" in seen
    assert b"\x1b[?1049l" in seen
    assert b"Traceback" not in seen


def test_lines_for_machines_never_end_by_themselves(environment: dict[str, str]) -> None:
    """With --json and without --once there is a line for each frame."""
    command = [*TOP, "--json", "--interval", "0.3"]
    with subprocess.Popen(
        command, env={**os.environ, **environment}, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        windows = [json.loads(process.stdout.readline())["window_s"] for _ in range(3)]
        process.send_signal(signal.SIGINT)
        process.stdout.read()
        assert process.wait(20) == 0
    assert windows == sorted(windows)
