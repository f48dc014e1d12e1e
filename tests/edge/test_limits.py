"""Rate limits: one bucket for all processes, told to callers, and decided when Redis is away."""

import asyncio
import time

import pytest
import redis

from edge.domain.limits import Limit
from edge.settings import Settings
from guilder.edge.proxy import rate_limit_pb2 as pb
from tests.edge.world import WAIT_S, Edge, headers_of, passed, running
from walletkit.stack import Stack


async def test_burst_passes_and_the_next_call_waits(edge: Edge) -> None:
    """Headers tell limit, what is left and when; a refusal says when to come again."""
    first = await edge.count("slow")
    assert headers_of(first) == {
        "x-ratelimit-limit": "5",
        "x-ratelimit-remaining": "4",
        "x-ratelimit-reset": "2",
    }
    rest = [await edge.count("slow") for _ in range(5)]
    assert passed(rest) == 4
    over = rest[-1]
    assert over.overall_code == pb.RateLimitResponse.OVER_LIMIT
    told = headers_of(over)
    assert told["x-ratelimit-remaining"] == "0"
    assert 1 <= int(told["retry-after"]) <= 2
    assert 9 <= int(told["x-ratelimit-reset"]) <= 10
    assert over.raw_body


async def test_bucket_fills_again(edge: Edge) -> None:
    """Who waits as long as was said may call again, once."""
    answers = [await edge.count("slow") for _ in range(6)]
    await asyncio.sleep(int(headers_of(answers[-1])["retry-after"]))
    assert passed([await edge.count("slow") for _ in range(2)]) == 1


async def test_two_processes_share_a_bucket(edge: Edge, migrated: Settings) -> None:
    """Fifty calls at once at both: as many pass as the limit says, whoever is asked."""
    async with running(migrated) as other:
        asked = [one.count("slow") for _ in range(25) for one in (edge, other)]
        assert passed(await asyncio.gather(*asked)) == 5


async def test_clients_and_routes_are_counted_apart(edge: Edge) -> None:
    """A client's writes leave its reads and the others alone; limits fall back to the default."""
    assert passed([await edge.count("slow") for _ in range(7)]) == 5
    reads = await edge.count("slow", "read")
    assert headers_of(reads)["x-ratelimit-limit"] == "2000"
    others = await edge.count("web")
    assert headers_of(others)["x-ratelimit-limit"] == "200"
    # What is no read counts as a write, the stricter one.
    unknown = await edge.count("slow", "elsewhere")
    assert headers_of(unknown)["x-ratelimit-limit"] == "5"


async def test_batches_have_a_limit_of_their_own(migrated: Settings) -> None:
    """One carries many commands. Where the file has no limit for them they count as writes."""
    limits = migrated.limits_file.read_text()
    async with running(migrated) as edge:
        answers = [await edge.count("slow", route) for route in ("write", "batch") * 4]
        assert passed(answers) == 5
    default = "batch = { per_second = 0.1, burst = 2 }\n\n[clients.slow]"
    own = "\n[clients.loader]\nbatch = { per_second = 0.1, burst = 3 }\n"
    migrated.limits_file.write_text(limits.replace("[clients.slow]", default) + own)
    async with running(migrated) as edge:
        batches = {
            client: passed([await edge.count(client, "batch") for _ in range(5)])
            for client in ("slow", "loader", "other")
        }
        # Its own limit of writes is used up by now, and comes before the default of batches.
        assert batches == {"slow": 0, "loader": 3, "other": 2}
        assert passed([await edge.count("loader") for _ in range(5)]) == 5


async def test_a_call_that_counts_more(edge: Edge) -> None:
    """It takes all its tokens or none; more than a full bucket never passes."""
    assert passed([await edge.count("slow", calls=calls) for calls in (3, 3, 2, 6)]) == 2


async def test_descriptor_without_a_client_is_not_counted(edge: Edge) -> None:
    """What is nobody's has no limit here: Envoy's own is the first wall."""
    assert passed([await edge.count("")]) == 1
    with redis.Redis.from_url(edge.settings.redis_url) as client:
        assert client.keys("edge:calls:*") == []


async def test_buckets_expire_by_themselves(edge: Edge) -> None:
    """A full bucket needs no memory: its key is gone by then; long names make no long keys."""
    await edge.count("x" * 5_000, calls=20)
    with redis.Redis.from_url(edge.settings.redis_url) as client:
        (name,) = client.keys("edge:calls:*")
        assert len(name) < 64
        assert 0 < client.pttl(name) <= 200
        await asyncio.sleep(0.25)
        assert not client.exists(name)


async def test_one_command_a_call(edge: Edge) -> None:
    """One round trip: Redis gets one command for each call that is counted."""
    await edge.count("web")
    with redis.Redis.from_url(edge.settings.redis_url) as client:
        client.config_resetstat()
        for _ in range(20):
            await edge.count("web")
        stats = client.info("commandstats")
    assert stats["cmdstat_evalsha"]["calls"] == 20
    assert "cmdstat_eval" not in stats


@pytest.mark.parametrize(("setting", "passes"), [("allow", True), ("deny", False)])
async def test_redis_killed(
    migrated: Settings, databases: Stack, setting: str, *, passes: bool
) -> None:
    """The setting decides about calls that can't be counted; counting goes on by itself."""
    chosen = migrated.model_copy(update={"rate_limit_on_failure": setting})
    async with running(chosen) as edge:
        assert passed([await edge.count("slow")]) == 1
        await asyncio.to_thread(databases.kill, "redis")
        began = time.monotonic()
        answers = [await edge.count("slow") for _ in range(10)]
        assert time.monotonic() - began < 2
        assert passed(answers) == (10 if passes else 0)
        if not passes:
            assert {headers_of(answer)["retry-after"] for answer in answers} == {"1"}
        await asyncio.to_thread(databases.start, "redis")
        async with asyncio.timeout(WAIT_S):
            while "x-ratelimit-limit" not in headers_of(await edge.count("slow")):  # noqa: ASYNC110  # the answer tells
                await asyncio.sleep(0.1)


def test_interval_of_a_limit() -> None:
    """A token comes each so many microseconds."""
    assert Limit(per_second=0.5, burst=1).interval_us == 2_000_000
