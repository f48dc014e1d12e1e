"""API keys that Envoy knows: edge is asked once in two seconds, and a doubt is always edge's."""

import asyncio
import time
from pathlib import Path

import pytest
from google.protobuf.json_format import MessageToDict

from edge.access import keyring
from edge.access.gate import KEPT_MS
from guilder.edge.v1 import key_service_pb2 as pb
from tests.edge.front import Front, fronted
from tests.edge.world import WAIT_S, Edge, Request, verified
from walletkit.telemetry.metrics.edge import DECISIONS

KEPT_S = KEPT_MS / 1_000
REVOKED_S = 10
"""What the pages promise."""


def granted() -> float:
    """Return how many credentials edge has granted."""
    return DECISIONS.of("granted").value


async def until_refused(front: Front, call: Request) -> float:
    """Call until a call is refused; return how long that took."""
    began = time.monotonic()
    async with asyncio.timeout(WAIT_S):
        while (await front.call(call))[0] == 200:  # noqa: ASYNC110  # the answer tells
            await asyncio.sleep(0.02)
    return time.monotonic() - began


async def test_edge_is_asked_once_in_a_while(edge: Edge, tmp_path: Path) -> None:
    """The service sees the same token, and no key; after two seconds edge is asked again."""
    call = Request().bearing((await edge.create()).credential)
    async with fronted(tmp_path, edge) as front:
        first, before = await front.seen(call), granted()
        for _ in range(20):
            seen = await front.seen(call)
            assert seen["headers"]["authorization"] == first["headers"]["authorization"]
            assert "x-api-key" not in seen["headers"]
        assert granted() == before
        token = first["headers"]["authorization"].removeprefix("Bearer ")
        assert verified(edge.settings, token)["sub"] == "key:web"
        await asyncio.sleep(KEPT_S + 0.1)
        assert await front.seen(call)
        assert granted() == before + 1


async def test_keys_are_not_mixed_up(edge: Edge, tmp_path: Path) -> None:
    """Each key is its own holder, known or not; what is nearly a known key is none."""
    credentials = {name: (await edge.create(client_id=name)).credential for name in "abc"}
    async with fronted(tmp_path, edge) as front:
        for _ in range(3):
            for name, credential in credentials.items():
                seen = await front.seen(Request().bearing(credential))
                token = seen["headers"]["authorization"].removeprefix("Bearer ")
                assert verified(edge.settings, token)["sub"] == f"key:{name}"
        last = credentials["a"]
        for wrong in (last[:-1], last + "0", last.upper(), f"{last},{last}", last[:-1] + "g"):
            assert (await front.call(Request().bearing(wrong)))[0] == 401


async def test_a_known_key_beside_another_credential_is_refused(edge: Edge, tmp_path: Path) -> None:
    """One credential a call, also where one of them is known."""
    call = Request().bearing((await edge.create()).credential)
    async with fronted(tmp_path, edge) as front:
        token = (await front.seen(call))["headers"]["authorization"]
        assert (await front.call(call))[0] == 200
        for name, value in (
            ("authorization", token),
            ("authorization", ""),
            ("x-signature", "0" * 64),
            ("x-signature-nonce", "0" * 16),
        ):
            assert (await front.call(call.having({name: value})))[0] == 401, name
        assert (await front.call(call))[0] == 200


async def test_what_is_refused_is_not_kept(edge: Edge, tmp_path: Path) -> None:
    """A wrong key is asked about each time, and so is each signature."""
    wrong = Request().bearing((await edge.create()).credential[:-1] + "x")
    signing, refused = await edge.signing_key(), DECISIONS.of("refused")
    async with fronted(tmp_path, edge) as front:
        before = refused.value
        assert [(await front.call(wrong))[0] for _ in range(3)] == [401] * 3
        assert refused.value == before + 3
        signed, before = Request().signed(signing), granted()
        assert [(await front.call(signed))[0] for _ in range(2)] == [200, 401]
        assert (await front.call(Request().signed(signing)))[0] == 200
        assert granted() == before + 2


async def test_a_revoked_key_is_refused_soon(edge: Edge, tmp_path: Path) -> None:
    """Within two seconds behind the edge that revoked it, and ten behind any, at the worst."""
    made = await edge.create()
    call = Request().bearing(made.credential)
    async with fronted(tmp_path, edge) as front:
        assert (await front.call(call))[0] == 200
        await edge.keys.RevokeKey(
            pb.RevokeKeyRequest(key_id=made.key.key_id, reason="a test"), timeout=WAIT_S
        )
        assert await until_refused(front, call) <= KEPT_S + 0.5
    assert keyring.STALE_S + KEPT_S <= REVOKED_S


async def test_a_key_that_expires_is_known_until_then(
    edge: Edge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No longer than it is valid, and no longer than Envoy itself keeps anything."""
    request = Request().bearing((await edge.create()).credential)
    usual = MessageToDict((await edge.check(request)).dynamic_metadata)
    assert usual["kept_ms"] == KEPT_MS
    expires = pb.CreateKeyRequest()
    expires.expire_time.FromNanoseconds(time.time_ns() + 1_500_000_000)
    made = await edge.create(expire_time=expires.expire_time)
    answer = await edge.check(Request().bearing(made.credential))
    assert 0 < MessageToDict(answer.dynamic_metadata)["kept_ms"] <= 1_500
    monkeypatch.setattr("edge.access.gate.KEPT_MS", 60_000)
    async with fronted(tmp_path, edge) as front:
        assert (await front.call(request))[0] == 200
        before = granted()
        await asyncio.sleep(KEPT_S + 0.1)
        assert (await front.call(request))[0] == 200
        assert granted() == before + 1
