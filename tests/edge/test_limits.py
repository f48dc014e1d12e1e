"""Rate limits: one bucket for all processes, given out in advance, and decided without Redis."""

import asyncio
import time

import grpc
import grpc.aio
import pytest
import redis

from edge.domain.limits import MAX_TOKENS, Limit
from edge.settings import Settings
from tests.edge.world import WAIT_S, Edge, reason_of, running
from walletkit.stack import Stack
from walletkit.telemetry.metrics.edge import RATE_DECISIONS


async def given(edge: Edge, client: str, route: str = "write", asks: int = 1) -> int:
    """Ask for one token so many times, and return how many were given."""
    return sum([(await edge.take(client, route)).tokens for _ in range(asks)])


async def test_burst_is_given_and_the_next_call_waits(edge: Edge) -> None:
    """A reply tells limit, what is left and when; a refusal says when to come again."""
    first = await edge.take("slow")
    assert (first.tokens, first.wait_ms, first.limit, first.remaining) == (1, 0, 5, 4)
    assert 1_900 <= first.reset_ms <= 2_000
    assert await given(edge, "slow", asks=5) == 4
    over = await edge.take("slow")
    assert (over.tokens, over.limit, over.remaining) == (0, 5, 0)
    assert 1 <= over.wait_ms <= 2_000
    assert 8_000 <= over.reset_ms <= 10_000


async def test_bucket_fills_again(edge: Edge) -> None:
    """Who waits as long as was said gets a token again, one."""
    await given(edge, "slow", asks=5)
    over = await edge.take("slow")
    assert over.tokens == 0
    await asyncio.sleep(over.wait_ms / 1_000 + 0.01)
    assert await given(edge, "slow", asks=2) == 1


async def test_nobody_gets_more_than_half_of_what_is_there(edge: Edge) -> None:
    """Others who ask for the same client find some, and the last tokens go one by one."""
    answers = [await edge.take("slow", tokens=1_000) for _ in range(5)]
    assert [answer.tokens for answer in answers] == [2, 1, 1, 1, 0]
    first, second = [(await edge.take("web", "read", tokens=1_000)).tokens for _ in range(2)]
    assert first == MAX_TOKENS
    assert 500 <= second <= 600


async def test_two_processes_share_a_bucket(edge: Edge, migrated: Settings) -> None:
    """Fifty who ask both at once get as many as the limit says, whoever is asked."""
    async with running(migrated) as other:
        asked = [one.take("slow", tokens=3) for _ in range(25) for one in (edge, other)]
        assert sum(answer.tokens for answer in await asyncio.gather(*asked)) == 5


async def test_clients_and_routes_are_counted_apart(edge: Edge) -> None:
    """A client's writes leave its reads and the others alone; limits fall back to the default."""
    assert await given(edge, "slow", asks=7) == 5
    assert (await edge.take("slow", "read")).limit == 2_000
    assert (await edge.take("web")).limit == 200
    # What is no read counts as a write, the stricter one.
    assert (await edge.take("slow", "elsewhere")).limit == 5


async def test_batches_have_a_limit_of_their_own(migrated: Settings) -> None:
    """One carries many commands. Where the file has no limit for them they count as writes."""
    limits = migrated.limits_file.read_text()
    async with running(migrated) as edge:
        answers = [await edge.take("slow", route) for route in ("write", "batch") * 4]
        assert sum(answer.tokens for answer in answers) == 5
    default = "batch = { per_second = 0.1, burst = 2 }\n\n[clients.slow]"
    own = "\n[clients.loader]\nbatch = { per_second = 0.1, burst = 3 }\n"
    migrated.limits_file.write_text(limits.replace("[clients.slow]", default) + own)
    async with running(migrated) as edge:
        batches = {
            name: await given(edge, name, "batch", 5) for name in ("slow", "loader", "other")
        }
        # Its own limit of writes is used up by now, and comes before the default of batches.
        assert batches == {"slow": 0, "loader": 3, "other": 2}
        assert await given(edge, "loader", asks=5) == 5


@pytest.mark.parametrize(
    ("client", "tokens"), [("", 1), ("web", 0), ("web", MAX_TOKENS + 1), ("x" * 32_769, 1)]
)
async def test_bad_requests_are_refused(edge: Edge, client: str, tokens: int) -> None:
    """By the field that is wrong; nothing is taken."""
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await edge.take(client, tokens=tokens)
    assert reason_of(refused.value) == "INVALID_FIELD"
    with redis.Redis.from_url(edge.settings.redis_url) as counters:
        assert counters.keys("edge:calls:*") == []


async def test_buckets_expire_by_themselves(edge: Edge) -> None:
    """A full bucket needs no memory: its key is gone by then; long names make no long keys."""
    await edge.take("x" * 5_000, tokens=20)
    with redis.Redis.from_url(edge.settings.redis_url) as client:
        (name,) = client.keys("edge:calls:*")
        assert len(name) < 64
        assert 0 < client.pttl(name) <= 200
        await asyncio.sleep(0.25)
        assert not client.exists(name)


async def test_one_command_a_lease(edge: Edge) -> None:
    """One round trip: Redis gets one command, however many tokens are taken."""
    await edge.take("web")
    with redis.Redis.from_url(edge.settings.redis_url) as client:
        client.config_resetstat()
        for _ in range(20):
            await edge.take("web", tokens=5)
        stats = client.info("commandstats")
    assert stats["cmdstat_evalsha"]["calls"] == 20
    assert "cmdstat_eval" not in stats


async def test_calls_are_told_by_what_became_of_them(edge: Edge) -> None:
    """Those that were given, and those that were refused: by edge at once, by Envoy later."""
    counters = {name: RATE_DECISIONS.of("write", name) for name in ("passes", "limited")}
    before = {name: counter.value for name, counter in counters.items()}
    await edge.take("slow", tokens=4)
    for refused in (0, 0, 0, 7, 2):
        await edge.take("slow", refused=refused)
    moved = {name: counter.value - before[name] for name, counter in counters.items()}
    assert moved == {"passes": 5, "limited": 7 + 2 + 2}


@pytest.mark.parametrize(("setting", "passes"), [("allow", True), ("deny", False)])
async def test_redis_killed(
    migrated: Settings, databases: Stack, setting: str, *, passes: bool
) -> None:
    """The setting decides about calls that can't be counted; counting goes on by itself."""
    chosen = migrated.model_copy(update={"rate_limit_on_failure": setting})
    async with running(chosen) as edge:
        assert (await edge.take("slow")).limit == 5
        await asyncio.to_thread(databases.kill, "redis")
        began = time.monotonic()
        answers = [await edge.take("slow", tokens=10) for _ in range(10)]
        assert time.monotonic() - began < 2
        assert {(answer.tokens, answer.wait_ms) for answer in answers} == {
            (10, 0) if passes else (0, 1_000)
        }
        assert {answer.limit for answer in answers} == {0}
        await asyncio.to_thread(databases.start, "redis")
        async with asyncio.timeout(WAIT_S):
            while (await edge.take("slow")).limit == 0:  # noqa: ASYNC110  # the answer tells
                await asyncio.sleep(0.1)


def test_interval_of_a_limit() -> None:
    """A token comes each so many microseconds."""
    assert Limit(per_second=0.5, burst=1).interval_us == 2_000_000
