"""Limits as callers of a real Envoy meet them: counted there, with tokens that edge gave before."""

import asyncio
import json
import time
from pathlib import Path

import pytest
import redis

from edge.counters.buckets import Bucket, Buckets, Taken
from edge.settings import Settings
from tests.edge.front import Front, fronted
from tests.edge.world import Edge, Request, running
from walletkit.front.replies import TOO_MANY
from walletkit.telemetry.metrics.edge import RATE_DECISIONS

LEASE_S = 2
ASK_S = 0.8
"""A little longer than Envoy waits for edge."""
RATE, BURST = 50, 100
READ = Request(method="GET", body=b"")


async def bearing(edge: Edge, client: str, request: Request) -> Request:
    """Return a call of a client, with the token that edge gives for its key."""
    made = await edge.create(client_id=client)
    granted = await edge.check(Request().bearing(made.credential))
    return request.having({"authorization": granted.ok_response.headers[0].header.value})


def asked(edge: Edge) -> int:
    """Return how often Redis was asked for tokens."""
    with redis.Redis.from_url(edge.settings.redis_url) as client:
        stats = client.info("commandstats")
    return int(stats.get("cmdstat_evalsha", {"calls": 0})["calls"])


async def statuses(front: Front, call: Request, times: int) -> list[int]:
    """Call one after the other."""
    return [(await front.call(call))[0] for _ in range(times)]


async def test_limit_is_shared_by_two_envoys(
    edge: Edge, migrated: Settings, tmp_path: Path
) -> None:
    """Each with an edge of its own: together they let a burst pass, and say when to come again."""
    call = await bearing(edge, "slow", Request())
    async with (
        running(migrated) as other,
        fronted(tmp_path, edge) as one,
        fronted(tmp_path, other) as two,
    ):
        answers = [await front.call(call) for _ in range(6) for front in (one, two)]
    passed = [headers for status, headers, _ in answers if status == 200]
    refused = [headers for status, headers, _ in answers if status == 429]
    assert len(passed) in {5, 6}
    assert len(passed) + len(refused) == 12
    assert (passed[0]["x-ratelimit-limit"], passed[0]["x-ratelimit-remaining"]) == ("5", "4")
    for headers in refused:
        assert 1 <= int(headers["retry-after"]) <= 2
        assert headers["x-ratelimit-remaining"] == "0"
        assert 1 <= int(headers["x-ratelimit-reset"]) <= 10


async def test_overshoot_is_bounded(migrated: Settings, tmp_path: Path) -> None:
    """In a time T at most burst + rate x (T + a lease's time) pass, by however many Envoys."""
    own = f'\n[clients."key:keen"]\nwrite = {{ per_second = {RATE}, burst = {BURST} }}\n'
    migrated.limits_file.write_text(migrated.limits_file.read_text() + own)
    passed: list[float] = []
    async with (
        running(migrated) as edge,
        running(migrated) as other,
        fronted(tmp_path, edge, other) as one,
        fronted(tmp_path, other, edge) as two,
    ):
        call = await bearing(edge, "keen", Request())
        ends = time.monotonic() + 3

        async def calling(front: Front) -> None:
            while time.monotonic() < ends:
                if (await front.call(call))[0] == 200:
                    passed.append(time.monotonic())

        await asyncio.gather(*(calling(front) for front in (one, two) for _ in range(8)))
    took = max(passed) - min(passed)
    assert len(passed) <= BURST + RATE * (took + LEASE_S)
    assert len(passed) >= 0.7 * (BURST + RATE * took)


async def test_who_calls_often_asks_rarely(edge: Edge, tmp_path: Path) -> None:
    """Leases grow with what passes: of five hundred calls hardly any waits for edge."""
    call = await bearing(edge, "busy", READ)
    async with fronted(tmp_path, edge) as front:
        before = asked(edge)
        for _ in range(50):
            answers = await asyncio.gather(*(front.call(call) for _ in range(10)))
            assert {status for status, _, _ in answers} == {200}
            assert all("x-ratelimit-remaining" in headers for _, headers, _ in answers)
        assert asked(edge) - before <= 50


async def test_no_crowd_asks_for_the_next_lease(
    migrated: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One call does, before this one is used up; the others go on meanwhile."""
    own = '\n[clients."key:keen"]\nread = { per_second = 10000, burst = 20000 }\n'
    migrated.limits_file.write_text(migrated.limits_file.read_text() + own)
    take = Buckets.take

    async def slowly(buckets: Buckets, bucket: Bucket, tokens: int) -> Taken:
        await asyncio.sleep(0.02)
        return await take(buckets, bucket, tokens)

    monkeypatch.setattr(Buckets, "take", slowly)
    async with running(migrated) as edge, fronted(tmp_path, edge) as front:
        call = await bearing(edge, "keen", READ)

        async def calls(times: int) -> None:
            found = await asyncio.gather(*(statuses(front, call, times) for _ in range(20)))
            assert {status for one in found for status in one} == {200}

        await calls(50)
        before = asked(edge)
        await calls(150)
        assert asked(edge) - before <= 30


async def test_a_caller_who_goes_away_while_edge_is_asked(
    edge: Edge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its question is forgotten after a while: leases grow again as ever."""
    call, take = await bearing(edge, "busy", READ), Buckets.take

    async def slowly(buckets: Buckets, bucket: Bucket, tokens: int) -> Taken:
        await asyncio.sleep(0.5)
        return await take(buckets, bucket, tokens)

    async with fronted(tmp_path, edge) as front:
        monkeypatch.setattr(Buckets, "take", slowly)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(front.call(call), 0.2)
        monkeypatch.undo()
        await asyncio.sleep(ASK_S)
        before = asked(edge)
        assert set(await statuses(front, call, 100)) == {200}
        assert asked(edge) - before <= 15


async def test_tokens_of_a_lease_end(edge: Edge, tmp_path: Path) -> None:
    """After two seconds they are no longer good: the next call is charged anew."""
    call = await bearing(edge, "busy", READ)
    async with fronted(tmp_path, edge) as front:
        assert set(await statuses(front, call, 9)) == {200}
        before = asked(edge)
        assert await statuses(front, call, 1) == [200]
        assert asked(edge) == before
        await asyncio.sleep(LEASE_S + 0.1)
        assert await statuses(front, call, 1) == [200]
        assert asked(edge) == before + 1


async def test_a_flood_of_refused_calls_costs_edge_nothing(edge: Edge, tmp_path: Path) -> None:
    """Envoy refuses by itself, and tells edge how many when it asks again: the metric has them."""
    limited = RATE_DECISIONS.of("write", "limited")
    call = await bearing(edge, "slow", Request())
    async with fronted(tmp_path, edge) as front:
        assert (await statuses(front, call, 7)).count(200) == 5
        before, told = asked(edge), limited.value
        flood = await asyncio.gather(*(front.call(call) for _ in range(100)))
        assert [status for status, _, _ in flood].count(429) >= 99
        assert asked(edge) - before <= 3
        await asyncio.sleep(1.1)
        await front.call(call)
        assert limited.value - told >= 99


@pytest.mark.parametrize("over_grpc", [False, True])
async def test_refusal_is_one_of_ours(edge: Edge, tmp_path: Path, *, over_grpc: bool) -> None:
    """REST gets 429 as JSON, gRPC RESOURCE_EXHAUSTED; both when to come again."""
    call = await bearing(edge, "slow", Request())
    if over_grpc:
        call = call.having({"content-type": "application/grpc"})
    async with fronted(tmp_path, edge) as front:
        await statuses(front, call, 5)
        status, headers, body = await front.call(call)
    assert 1 <= int(headers["retry-after"]) <= 2
    if over_grpc:
        assert (status, headers["grpc-status"], headers["grpc-message"]) == (200, "8", TOO_MANY)
    else:
        assert (status, headers["content-type"]) == (429, "application/json")
        assert json.loads(body)["code"] == 8
        assert json.loads(body)["details"][0]["reason"] == "RATE_LIMITED"
        assert json.loads(body)["message"] == TOO_MANY


async def test_a_client_names_nobody_else(edge: Edge, tmp_path: Path) -> None:
    """Who calls is the token's subject, whatever headers say: no bucket but its own is charged."""
    call = await bearing(edge, "slow", Request())
    async with fronted(tmp_path, edge) as front:
        named = [call.having({"x-guilder-subject": f"key:other-{n}"}) for n in range(9)]
        answers = [(await front.call(one))[0] for one in named]
    assert answers.count(200) == 5
    with redis.Redis.from_url(edge.settings.redis_url) as client:
        assert len(client.keys("edge:calls:*")) == 1


async def test_leases_are_kept_in_a_bounded_number(edge: Edge, tmp_path: Path) -> None:
    """The oldest are forgotten: who called long ago asks again, and has no call more for it."""
    busy, slow, *others = [
        await bearing(edge, name, Request()) for name in ("busy", "slow", "a", "b", "c")
    ]
    async with fronted(tmp_path, edge, keeping=2) as front:
        await statuses(front, busy, 9)
        before = asked(edge)
        await statuses(front, busy, 1)
        assert asked(edge) == before
        for _ in range(3):
            for other in others:
                await statuses(front, other, 1)
        before = asked(edge)
        await statuses(front, busy, 1)
        assert asked(edge) == before + 1
        found = [await statuses(front, one, 1) for _ in range(9) for one in (slow, *others)]
        assert [status for (status,) in found[:: len(others) + 1]].count(200) == 5
