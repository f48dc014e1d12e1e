"""What `guilder top` shows, made of two frames of metrics. Pure: samples in, view out."""

from dataclasses import dataclass

from guilder.cli.top.window import Buckets, Frame, Group, Told, Window

SERVICES = ("wallet", "ledger", "notify", "edge")
"""What answers calls; the relay does not."""
QUEUE_FULL_SHARE = 0.8
LAG_ALARM_S = 30.0
_MIB = 2**20


@dataclass(frozen=True, slots=True)
class Process:
    """A process: what it uses, and whether it answers. None: not known yet."""

    service: str
    address: str
    health: str
    up: bool
    cpu_cores: float | None
    memory_mib: float | None
    loop_lag_p99_ms: float | None


@dataclass(frozen=True, slots=True)
class Shard:
    """A shard as the wallets see it, all of them together."""

    shard: str
    up: bool
    commands_per_s: float
    batches_per_s: float
    batch_commands: float | None
    commit_ms: float | None
    commit_p99_ms: float | None
    queue: float
    queue_limit: float
    refused_per_s: float
    faults_per_s: float
    sessions: float
    sessions_max: float
    transit_oldest_s: float


@dataclass(frozen=True, slots=True)
class Sink:
    """How far a sink is behind a shard."""

    shard: str
    sink: str
    connected: bool
    records_per_s: float
    lag_records: float
    lag_s: float


@dataclass(frozen=True, slots=True)
class Rpc:
    """A call's rate and latencies; those of the window alone."""

    method: str
    calls_per_s: float
    failed_per_s: float
    p50_ms: float
    p99_ms: float


@dataclass(frozen=True, slots=True)
class Rate:
    """Something that happens, so often in a second."""

    name: str
    per_s: float


@dataclass(frozen=True, slots=True)
class View:
    """One picture of the suite."""

    window_s: float
    alarms: tuple[str, ...]
    processes: tuple[Process, ...]
    shards: tuple[Shard, ...]
    sinks: tuple[Sink, ...]
    slowest: tuple[Rpc, ...]
    """By their p99, the slowest first."""
    transactions: tuple[Rate, ...]
    declines: tuple[Rate, ...]
    """By reason, the most frequent first; of calls that failed before a decision, too."""
    deliveries: tuple[Rate, ...]
    decisions: tuple[Rate, ...]
    """Of edge."""


def view(before: Frame | None, now: Frame) -> View:
    """Return what to show of the time between two frames."""
    window = Window(before, now)
    processes = tuple(_process(window, told) for told in now.told)
    shards, sinks = _shards(window), _sinks(window)
    return View(
        window_s=window.seconds,
        alarms=tuple(_alarms(window, processes, shards, sinks)),
        processes=processes,
        shards=shards,
        sinks=sinks,
        slowest=_slowest(window),
        transactions=_rates(window.rates("wallet_transactions_total", "type", "status")),
        declines=_declines(window),
        deliveries=_rates(window.rates("notify_deliveries_total", "outcome")),
        decisions=_rates(window.rates("edge_decisions_total", "decision")),
    )


def _process(window: Window, told: Told) -> Process:
    own = window.of(told)
    cpu = own.rates("process_cpu_seconds_total")
    memory = own.gauges("process_resident_memory_bytes")
    lag = own.histograms("guilder_event_loop_lag_seconds").get((), Buckets())
    return Process(
        service=told.service,
        address=told.address,
        health=window.now.health.get(told.service, ""),
        up=told.samples is not None,
        cpu_cores=cpu.get(()),
        memory_mib=memory[()] / _MIB if memory else None,
        loop_lag_p99_ms=_ms(lag.quantile(0.99)),
    )


def _shards(window: Window) -> tuple[Shard, ...]:
    sizes = window.histograms("wallet_batch_commands", "shard")
    commits = window.histograms("wallet_batch_seconds", "shard", stage="commit")
    refused = window.rates("wallet_queue_refusals_total", "shard")
    faults = window.rates("wallet_batch_faults_total", "shard")
    queue = window.gauges("wallet_queue_depth", "shard")
    limit = window.gauges("wallet_queue_limit", "shard")
    busy = window.gauges("wallet_db_connections_active", "shard")
    most = window.gauges("wallet_db_connections_max", "shard")
    oldest = window.gauges("wallet_transit_oldest_seconds", "shard", join=max)
    up = window.gauges("wallet_shard_up", "shard", join=min)
    made: list[Shard] = []
    for key in sorted(up, key=_in_order):
        size, commit = sizes.get(key, Buckets()), commits.get(key, Buckets())
        made.append(
            Shard(
                shard=key[0],
                up=up[key] == 1,
                commands_per_s=_per_s(size.total, window),
                batches_per_s=_per_s(size.count, window),
                batch_commands=size.mean,
                commit_ms=_ms(commit.mean),
                commit_p99_ms=_ms(commit.quantile(0.99)),
                queue=queue.get(key, 0),
                queue_limit=limit.get(key, 0),
                refused_per_s=refused.get(key, 0),
                faults_per_s=faults.get(key, 0),
                sessions=busy.get(key, 0),
                sessions_max=most.get(key, 0),
                transit_oldest_s=oldest.get(key, 0),
            )
        )
    return tuple(made)


def _sinks(window: Window) -> tuple[Sink, ...]:
    """Of several relays the one that is connected, or nearest, tells how a sink does."""
    connected = window.gauges("wallet_relay_connected", "shard", "sink", join=max)
    records = window.rates("wallet_relay_records_total", "shard", "sink")
    lags = window.gauges("wallet_outbox_lag_records", "shard", "sink", join=min)
    ages = window.gauges("wallet_outbox_lag_seconds", "shard", "sink", join=min)
    return tuple(
        Sink(
            shard=key[0],
            sink=key[1],
            connected=connected[key] == 1,
            records_per_s=records.get(key, 0),
            lag_records=lags.get(key, 0),
            lag_s=ages.get(key, 0),
        )
        for key in sorted(connected, key=_in_order)
    )


def _slowest(window: Window) -> tuple[Rpc, ...]:
    found: list[Rpc] = []
    for service in SERVICES:
        calls = window.rates(f"{service}_grpc_requests_total", "method")
        failed = window.rates(f"{service}_errors_total", "method")
        times = window.histograms(f"{service}_grpc_request_duration_seconds", "method")
        for key, buckets in times.items():
            median, slow = _ms(buckets.quantile(0.5)), _ms(buckets.quantile(0.99))
            if median is None or slow is None:
                continue
            found.append(Rpc(key[0], calls.get(key, 0), failed.get(key, 0), median, slow))
    return tuple(sorted(found, key=lambda rpc: (-rpc.p99_ms, rpc.method)))


def _declines(window: Window) -> tuple[Rate, ...]:
    """Join decisions against a command with calls that failed: a decline of a call is in both."""
    decided = window.rates("wallet_declines_total", "reason")
    failed: dict[Group, float] = {}
    for service in SERVICES:
        for key, per_s in window.rates(f"{service}_errors_total", "code").items():
            failed[key] = failed.get(key, 0.0) + per_s
    keys = decided.keys() | failed.keys()
    return _rates({key: max(decided.get(key, 0.0), failed.get(key, 0.0)) for key in keys})


def _alarms(
    window: Window,
    processes: tuple[Process, ...],
    shards: tuple[Shard, ...],
    sinks: tuple[Sink, ...],
) -> list[str]:
    """Name what somebody has to look at now."""
    told = [
        f"{one.service} {one.address}: no metrics: {error}"
        for one, error in zip(processes, (told.error for told in window.now.told), strict=True)
        if not one.up
    ]
    told += [
        f"{service}: {word}" for service, word in window.now.health.items() if word != "SERVING"
    ]
    told += [f"shard {one.shard} is down" for one in shards if not one.up]
    told += [
        f"shard {one.shard}: queue at {one.queue:.0f} of {one.queue_limit:.0f}"
        for one in shards
        if one.queue_limit and one.queue > QUEUE_FULL_SHARE * one.queue_limit
    ]
    told += [f"{one.sink} does not take shard {one.shard}" for one in sinks if not one.connected]
    told += [
        f"{one.sink} is {one.lag_s:.0f} s behind shard {one.shard}"
        for one in sinks
        if one.lag_s > LAG_ALARM_S
    ]
    for (check, shard), count in sorted(
        window.gauges("ledger_differences", "check", "shard", join=max).items()
    ):
        if count > 0:
            told.append(f"the last proof ({check}, shard {shard}) found {count:.0f} differences")
    return told


def _rates(by: dict[Group, float]) -> tuple[Rate, ...]:
    found = [Rate(" ".join(key), per_s) for key, per_s in by.items() if per_s > 0]
    return tuple(sorted(found, key=lambda rate: (-rate.per_s, rate.name)))


def _per_s(count: float, window: Window) -> float:
    return count / window.seconds if window.seconds > 0 else 0.0


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else seconds * 1_000


def _in_order(key: Group) -> tuple[int, Group]:
    """Sort shards by number, and what is none behind them."""
    return (int(key[0]) if key[0].isdecimal() else 1 << 30), key
