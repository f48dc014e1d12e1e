"""The order of runs."""

from collections import Counter

from bench.plan import Scope, steps
from bench.scenarios import SCENARIOS


def test_rounds_are_interleaved_and_each_scenario_is_proved_once() -> None:
    """At the main concurrency all run in each round; the others, and the proof, come last."""
    chosen = [SCENARIOS[name] for name in ("within", "stream")]
    planned = list(steps(Scope(chosen, rounds=3, shards=2)))
    assert [(step.name, step.concurrency, step.round) for step in planned] == [
        ("within", 128, 1),
        ("stream", 4, 1),
        ("within", 128, 2),
        ("stream", 4, 2),
        *[("within", concurrency, 3) for concurrency in (128, 1, 32, 512)],
        *[("stream", concurrency, 3) for concurrency in (4, 1, 16)],
    ]
    assert [(step.name, step.concurrency) for step in planned if step.last] == [
        ("within", 512),
        ("stream", 16),
    ]


def test_floors_are_measured_where_they_are_compared() -> None:
    """An echo at every concurrency that ghz runs at, in the same round; raw SQL in each round."""
    chosen = [SCENARIOS[name] for name in ("within", "hold", "stream")]
    planned = list(steps(Scope(chosen, rounds=2, shards=2, sizes=(1, 30))))
    echoes = Counter((step.concurrency, step.round) for step in planned if step.kind == "echo")
    assert echoes == Counter([(128, 1), (128, 2), (1, 2), (32, 2), (512, 2)])
    raw = Counter((step.name, step.round) for step in planned if step.kind == "sql")
    assert raw == Counter([("1", 1), ("30", 1), ("1", 2), ("30", 2)])


def test_what_is_asked_for_replaces_the_concurrencies() -> None:
    """The last one runs in each round where the main one was not asked for."""
    scope = Scope([SCENARIOS["within"], SCENARIOS["stream"]], 2, 2, callers=(8, 16), streams=(2,))
    planned = [(step.name, step.concurrency, step.last) for step in steps(scope)]
    assert planned == [
        ("within", 16, False),
        ("stream", 2, False),
        ("within", 16, False),
        ("within", 8, True),
        ("stream", 2, True),
    ]
