"""Instruments count what they are told, at any moment consistently, and in bounded number."""

import itertools
import re

from prometheus_client import generate_latest
from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families

from walletkit.telemetry import bounds, exposition
from walletkit.telemetry.exposition import merged, own
from walletkit.telemetry.instruments import MAX_SERIES, OTHER, Group
from walletkit.telemetry.metrics import GROUPS

NAME = re.compile(r"(guilder|wallet|ledger|notify|edge)(_[a-z0-9]+)+")
FAMILIES = [family for group in GROUPS for family in group.families]


def test_every_bucket_says_how_many_values_are_not_above_it() -> None:
    """Buckets grow, a value on a bound is below it, and the last bucket is the count."""
    family = Group("t").histogram("t_seconds", "t", "of", bounds=(0.001, 0.1))
    for value in (0.0005, 0.001, 0.05, 0.1, 3.0):
        family.of("x").observe(value)
    samples = {(s.name, s.labels.get("le")): s.value for s in exposition._metric(family).samples}
    assert samples == {
        ("t_seconds_bucket", "0.001"): 2,
        ("t_seconds_bucket", "0.1"): 4,
        ("t_seconds_bucket", "+Inf"): 5,
        ("t_seconds_count", None): 5,
        ("t_seconds_sum", None): 3.1515,
    }


def test_what_comes_beyond_the_limit_is_counted_together() -> None:
    """A label that was thought to be bounded and is not can't fill anybody's memory."""
    family = Group("t").counter("t_total", "t", "of", "by")
    for number in range(3 * MAX_SERIES):
        family.of(str(number), "x").add()
    assert len(family.series()) == MAX_SERIES + 1
    assert family.of(OTHER, OTHER).value == 2 * MAX_SERIES
    assert family.of("0", "x").value == 1


def test_a_gauge_that_follows_is_read_when_it_is_asked_for() -> None:
    """What changes all the time is not set all the time."""
    waiting: list[int] = []
    gauge = Group("t").gauge("t_depth", "t").of()
    gauge.follow(lambda: len(waiting))
    waiting += [1, 2]
    assert gauge.value == 2


def test_names_and_labels_are_in_order() -> None:
    """No name is there twice; a counter ends in _total, and nothing else does; bounds ascend."""
    assert len({family.name for family in FAMILIES}) == len(FAMILIES)
    for family in FAMILIES:
        assert NAME.fullmatch(family.name), family.name
        assert family.name.endswith("_total") == (family.kind == "counter")
        assert family.meaning
        assert "|" not in family.meaning
        assert list(family.bounds) == sorted(set(family.bounds))
        assert not {"wallet_id", "account_id", "client", "id"} & set(family.labels)


def test_goals_of_latency_are_bounds() -> None:
    """How many calls took less than 50, 100, 200 or 500 ms is exact; a p99 between nearly so."""
    assert {0.05, 0.1, 0.2, 0.5} <= set(bounds.LATENCY_S)
    near = [bound for bound in bounds.LATENCY_S if 0.05 <= bound <= 0.2]
    assert all(high / low < 1.34 for low, high in itertools.pairwise(near))


def test_what_a_process_tells_is_read_back() -> None:
    """The text is what a Prometheus reads; it says which program this is."""
    told = {
        family.name: family
        for family in text_string_to_metric_families(generate_latest(own("wallet")).decode())
    }
    (build,) = told["guilder_build_info"].samples
    assert build.labels["service"] == "wallet"
    assert build.value == 1
    assert {"process_resident_memory_bytes", "process_cpu_seconds"} <= told.keys()


def test_workers_are_told_apart() -> None:
    """Each series has its worker's number: nothing is summed that begins anew by itself."""
    first, second = (Metric("t", "t", "counter") for _ in range(2))
    first.add_sample("t_total", {"of": "x"}, 3)
    second.add_sample("t_total", {"of": "x"}, 4)
    (both,) = merged([("0", [first]), ("1", [second])])
    assert [(s.labels, s.value) for s in both.samples] == [
        ({"of": "x", "worker": "0"}, 3),
        ({"of": "x", "worker": "1"}, 4),
    ]
