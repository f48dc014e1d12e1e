"""Draw a view as tables that fit a terminal. What there is too much of is counted."""

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from guilder.cli.render import plain, table
from guilder.cli.top.view import Process, Rate, Rpc, Shard, Sink, View

MAX_ROWS = 12
"""Of one table; `--json` has all."""
SLOW_MS = 100.0
"""The goal of the p99 of single calls."""
WHOLE_FROM = 100
"""Rates from here on are shown without a fraction."""


def draw(shown: View) -> RenderableType:
    """Return all tables of a view, one below the other."""
    parts: list[RenderableType] = [Text(_headline(shown), style="bold")]
    parts += [Text(f"! {plain(alarm)}", style="bold red") for alarm in shown.alarms[:MAX_ROWS]]
    if len(shown.alarms) > MAX_ROWS:
        parts.append(Text(f"! … {len(shown.alarms) - MAX_ROWS} more", style="bold red"))
    parts.append(_processes(shown.processes))
    if shown.shards:
        parts.append(_shards(shown.shards))
    if shown.sinks:
        parts.append(_sinks(shown.sinks))
    parts.append(_slowest(shown.slowest))
    parts += _lines(shown)
    return Group(*parts)


def _headline(shown: View) -> str:
    done = sum(rate.per_s for rate in shown.transactions if "declined" not in rate.name)
    calls = sum(rpc.calls_per_s for rpc in shown.slowest)
    return (
        f"guilder top · {done:,.0f} transactions/s · {calls:,.0f} calls/s · "
        f"over the last {shown.window_s:.1f} s"
    )


def _table(title: str, *columns: str, left: int) -> Table:
    made = table(title, *columns, right=columns[left:])
    made.box = None
    made.pad_edge = False
    return made


def _cut(made: Table, rows: int) -> Table:
    if rows > MAX_ROWS:
        made.add_row(f"… {rows - MAX_ROWS} more")
    return made


def _processes(processes: Sequence[Process]) -> Table:
    made = _table(
        "Processes", "process", "metrics at", "health", "CPU", "MiB", "loop ms p99", left=3
    )
    for one in processes[:MAX_ROWS]:
        health = one.health if one.up else f"{one.health} no metrics".strip()
        well = one.up and one.health in {"", "SERVING"}
        made.add_row(
            one.service,
            one.address,
            Text(health or "up", style="green" if well else "bold red"),
            _number(one.cpu_cores, 2),
            _number(one.memory_mib, 0),
            _number(one.loop_lag_p99_ms, 1),
        )
    return _cut(made, len(processes))


def _shards(shards: Sequence[Shard]) -> Table:
    columns = ("commands/s", "batches/s", "a batch", "commit ms", "p99", "queue", "refused/s")
    made = _table("Shards", "shard", *columns, "faults/s", "sessions", "transit s", left=1)
    for one in shards[:MAX_ROWS]:
        made.add_row(
            Text(one.shard, style="" if one.up else "bold red"),
            f"{one.commands_per_s:,.0f}",
            f"{one.batches_per_s:,.0f}",
            _number(one.batch_commands, 1),
            _number(one.commit_ms, 1),
            _number(one.commit_p99_ms, 1),
            f"{one.queue:,.0f}/{one.queue_limit:,.0f}",
            _number(one.refused_per_s, 1),
            _number(one.faults_per_s, 1),
            f"{one.sessions:.0f}/{one.sessions_max:.0f}",
            _number(one.transit_oldest_s, 1),
        )
    return _cut(made, len(shards))


def _sinks(sinks: Sequence[Sink]) -> Table:
    made = _table("Streams", "shard", "sink", "", "records/s", "lag records", "lag s", left=3)
    behind = sorted(sinks, key=lambda one: (one.connected, -one.lag_s))
    for one in behind[:MAX_ROWS]:
        made.add_row(
            one.shard,
            one.sink,
            Text("connected", style="green") if one.connected else Text("away", style="bold red"),
            f"{one.records_per_s:,.0f}",
            f"{one.lag_records:,.0f}",
            _number(one.lag_s, 1),
        )
    return _cut(made, len(sinks))


def _slowest(slowest: Sequence[Rpc]) -> Table:
    made = _table("Slowest calls", "call", "calls/s", "failed/s", "p50 ms", "p99 ms", left=1)
    for one in slowest[:MAX_ROWS]:
        made.add_row(
            plain(one.method),
            _number(one.calls_per_s, 1),
            _number(one.failed_per_s, 1),
            _number(one.p50_ms, 1),
            Text(f"{one.p99_ms:,.1f}", style="yellow" if one.p99_ms > SLOW_MS else ""),
        )
    return _cut(made, len(slowest))


def _lines(shown: View) -> Iterator[Text]:
    for title, rates in (
        ("Money", shown.transactions),
        ("Declined", shown.declines),
        ("Webhooks", shown.deliveries),
        ("Edge", shown.decisions),
    ):
        told = " · ".join(f"{plain(rate.name)} {_brief(rate)}" for rate in rates[:MAX_ROWS])
        yield Text.assemble((f"{title:<9}", "bold"), told or "nothing")


def _brief(rate: Rate) -> str:
    return f"{rate.per_s:,.1f}/s" if rate.per_s < WHOLE_FROM else f"{rate.per_s:,.0f}/s"


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:,.{digits}f}"
