"""Where credentials are required: what Envoy, edge and a service are to each other, by TLS."""

import asyncio
import re
import signal
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest

from edge.counters.buckets import TAKE_TIMEOUT_S
from edge.settings import Settings
from guilder.edge.proxy import authorization_pb2 as authz
from guilder.edge.proxy import authorization_pb2_grpc as authz_rpc
from tests.auth.certificates import Authority
from tests.conftest import FreshDatabases
from tests.edge.installation import FRONT_NAME, SIGNER, Installation, installed
from tests.edge.world import WAIT_S, reason_of
from walletkit import front
from walletkit.stack import Stack

LIMITS = """
[default]
read = { per_second = 1000, burst = 2000 }
write = { per_second = 100, burst = 200 }

[clients."key:slow"]
read = { per_second = 0.01, burst = 3 }
"""


@pytest.fixture
def limited(migrated: Settings) -> Settings:
    """Settings with few reads for one client."""
    migrated.limits_file.write_text(LIMITS)
    return migrated


async def test_keys_and_limits_where_credentials_are_required(
    limited: Settings, fresh_databases: FreshDatabases, tmp_path: Path
) -> None:
    """Envoy is known by its certificate: a key is a credential, and its calls are counted."""
    async with installed(limited, fresh_databases.ledger, tmp_path) as made:
        key = await made.api_key("slow")
        async with made.front("front") as caller:
            await caller.until(200, x_api_key=await made.api_key("web"))
            answers = [await caller.get(x_api_key=key) for _ in range(4)]
            assert [status for status, _, _ in answers] == [200, 200, 200, 429]
            _, headers, told = answers[-1]
            assert headers["x-ratelimit-limit"] == "3"
            assert told["details"][0]["reason"] == "RATE_LIMITED"
            spoofing = {"x_guilder_subject": "key:web"}
            assert (await caller.get(x_api_key=key, **spoofing))[0] == 429
            assert (await caller.get(x_api_key=key[:-1] + "x"))[0] == 401
            assert (await caller.get())[0] == 401
        await strangers_are_refused(made, key)


async def strangers_are_refused(made: Installation, key: str) -> None:
    """An Envoy that believes another authority, or has no certificate; and who is not Envoy."""
    (folder := made.folder / "other").mkdir()
    other = Authority(folder)
    certificate, secret = other.issue(FRONT_NAME)
    strangers: dict[str, dict[str, Any]] = {
        "believes another": {"upstream_ca": other.ca},
        "has none": {"upstream_cert": None, "upstream_key": None},
        "has another's": {"upstream_cert": certificate, "upstream_key": secret},
        "in the clear": {"upstream_ca": None, "upstream_cert": None, "upstream_key": None},
    }
    for name, changes in strangers.items():
        async with made.front(name, **changes) as caller:
            for headers in ({"x_api_key": key}, {"authorization": f"Bearer {SIGNER.token()}"}):
                status, _, told = await caller.get(**headers)
                assert (status, told["details"][0]["reason"]) == (503, "SERVICE_UNAVAILABLE"), name
    bare = {"tls_cert": None, "tls_key": None}
    assert await asked(made.channel(made.edge_address, **bare)) == "UNAVAILABLE"
    assert await asked(grpc.aio.insecure_channel(made.edge_address)) == "UNAVAILABLE"
    # A certificate of the authority, and a name that edge was not told.
    assert await asked(made.channel(made.edge_address)) == "CREDENTIALS_MISSING"


async def asked(channel: grpc.aio.Channel) -> str:
    """Ask edge as Envoy does; return the reason of the refusal, or its code."""
    async with channel:
        stub: authz_rpc.AuthorizationAsyncStub = authz_rpc.AuthorizationStub(channel)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.Check(authz.CheckRequest(), timeout=WAIT_S)
    if refused.value.code() is grpc.StatusCode.UNAVAILABLE:
        return refused.value.code().name
    return reason_of(refused.value)


def longest_wait_s() -> float:
    """Return how long Envoy waits for edge's answer about a limit."""
    found = re.search(r"ASK_MS = (\d+)", Path(front.__file__).with_name("leases.lua").read_text())
    assert found is not None
    return int(found[1]) / 1_000


@pytest.mark.parametrize(
    ("of_edge", "hangs", "of_front", "away"),
    [("deny", 429, "allow", 200), ("allow", 200, "deny", 503)],
)
async def test_who_decides_about_calls_that_are_not_counted(
    limited: Settings,
    fresh_databases: FreshDatabases,
    databases: Stack,
    tmp_path: Path,
    of_edge: str,
    hangs: int,
    of_front: str,
    away: int,
) -> None:
    """While Redis hangs edge does, whatever Envoy would; without edge Envoy does."""
    assert longest_wait_s() > TAKE_TIMEOUT_S
    variables = {"EDGE_RATE_LIMIT_ON_FAILURE": of_edge}
    # Each with tokens of nobody's lease: what was given before is still good.
    token, hanging, without = [
        {"authorization": f"Bearer {SIGNER.token('auditor', sub=name)}"} for name in "abc"
    ]
    async with (
        installed(limited, fresh_databases.ledger, tmp_path, **variables) as made,
        made.front("front", rate_limit_on_failure=of_front) as caller,
    ):
        await caller.until(200, **token)
        assert "x-ratelimit-limit" in (await caller.get(**token))[1]
        databases.signal("redis", signal.SIGSTOP)
        try:
            answers = [await caller.get(**hanging) for _ in range(5)]
        finally:
            databases.signal("redis", signal.SIGCONT)
        assert [status for status, _, _ in answers] == [hangs] * 5
        if hangs != 200:
            assert {headers["retry-after"] for _, headers, _ in answers} == {"1"}
        async with asyncio.timeout(WAIT_S):
            while "x-ratelimit-limit" not in (await caller.get(**hanging))[1]:  # noqa: ASYNC110  # the answer tells
                await asyncio.sleep(0.1)
        made.edge.kill()
        await made.edge.wait()
        status, _, told = await caller.get(**without)
        assert status == away
        if away != 200:
            assert told["details"][0]["reason"] == "SERVICE_UNAVAILABLE"
