"""The first wall: what Envoy keeps from edge and services before anybody is known."""

import asyncio
import io
import json
import secrets
import time
from pathlib import Path
from typing import Any

import grpc
import pytest

from tests.front.beside import configuration, envoy
from tests.front.calls import WALLET
from tests.front.door import Door, Json, Reply, opened
from tests.front.test_access import called
from tests.front.test_credentials import made, signing
from walletkit.front.settings import FrontSettings

ASSETS = "/v1/assets"
RPC = f"{WALLET}ListAssets"
BURST = 5
CALLS = 20
CREDENTIALS = ("x-api-key", "x-signature")
BEYOND = 128 * 1_024
"""Envoy does not count what comes with the end of a body: one frame."""
SIGNED_BYTES = FrontSettings.model_fields["max_signed_body_bytes"].default


def told_to_wait(reply: Reply) -> bool:
    """Tell whether a reply is 429, with all that belongs to it."""
    if reply.status != 429:
        return False
    assert reply.headers["retry-after"] == "1"
    assert reply.headers["content-type"] == "application/json"
    assert reply.json["code"] == grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]
    assert reply.json["message"] == "too many calls: retry after what retry-after says"
    assert reply.json["details"][0]["reason"] == "RATE_LIMITED"
    return True


async def test_calls_beyond_the_local_rate_are_told_to_wait(door: Door, tmp_path: Path) -> None:
    """Whoever makes them, before a token is looked at; load balancers still see health."""
    async with (
        envoy(door.suite, tmp_path, local_rate=1, local_burst=BURST) as url,
        opened(door.suite, url) as other,
    ):
        begun = time.monotonic()
        replies = [await other.send("GET", ASSETS) for _ in range(CALLS)]
        passed = [reply.status for reply in replies if not told_to_wait(reply)]
        assert BURST <= len(passed) <= BURST + 1 + int(time.monotonic() - begun)
        assert set(passed) == {200}
        refused = {await called(other, RPC, tuple(other.bearer.items())) for _ in range(BURST)}
        assert grpc.StatusCode.RESOURCE_EXHAUSTED in refused
        assert refused <= {grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.OK}
        anonymous = [await other.send("GET", ASSETS, token="") for _ in range(BURST)]
        assert any(map(told_to_wait, anonymous))
        assert (await other.send("GET", "/healthz", token="")).status == 200
        await asyncio.sleep(int(replies[-1].headers["retry-after"]) + 0.1)
        assert (await other.send("GET", ASSETS)).status == 200


@pytest.mark.parametrize("header", CREDENTIALS)
async def test_credentials_that_cost_work_have_a_smaller_bucket(
    door: Door, tmp_path: Path, header: str
) -> None:
    """Those who guess at keys and signatures leave holders of tokens alone."""
    changes: Json = {"local_credential_rate": 1, "local_credential_burst": BURST}
    async with (
        envoy(door.suite, tmp_path, **changes) as url,
        opened(door.suite, url) as other,
    ):
        guesses = [
            await other.send("GET", ASSETS, token="", headers={header: "guess"})
            for _ in range(CALLS)
        ]
        looked_at = [reply.status for reply in guesses if not told_to_wait(reply)]
        assert BURST <= len(looked_at) < CALLS
        assert set(looked_at) == {401}
        # Both kinds share it.
        (another,) = set(CREDENTIALS) - {header}
        refused = {await called(other, RPC, ((another, "guess"),)) for _ in range(BURST)}
        assert grpc.StatusCode.RESOURCE_EXHAUSTED in refused
        for _ in range(CALLS):
            assert (await other.send("GET", ASSETS)).status == 200


def test_the_wall_can_be_taken_down(door: Door) -> None:
    """A rate of 0 is none; without an edge nobody's credentials cost it work."""
    assert walls(door) == ["local_rate", "local_credential_rate"]
    assert walls(door, local_rate=0) == ["local_credential_rate"]
    assert walls(door, local_credential_rate=0) == ["local_rate"]
    assert walls(door, edge_address=None, edge_jwks="", edge_issuer="") == ["local_rate"]


def walls(door: Door, **changes: Any) -> list[str]:  # noqa: ANN401  # any setting
    """List the filters that count locally, of a configuration, which all come before edge's."""
    (listener,) = configuration(door.suite, **changes)["static_resources"]["listeners"]
    (chain,) = listener["filter_chains"]
    (manager,) = chain["filters"]
    names = [one["name"] for one in manager["typed_config"]["http_filters"]]
    found = [name for name in names if name.startswith("local_")]
    edges = [at for at, name in enumerate(names) if name.startswith("edge_")]
    assert all(names.index(name) < min(edges, default=len(names)) for name in found)
    return found


async def test_signed_bodies_are_shorter_than_others(door: Door) -> None:
    """They are kept until their signature was checked, for somebody who is not known yet."""
    key, sign = await made(door, "KEY_KIND_SIGNING"), signing()
    padding = " " * (SIGNED_BYTES + BEYOND)
    long = json.dumps({"amount": {}, "description": padding}).encode()
    fits = long.replace(b" " * 2 * BEYOND, b"", 1)
    assert len(fits) < SIGNED_BYTES < len(long)
    typed = {"content-type": "application/json"}
    for body, status in ((long, 413), (fits, 400)):
        once = secrets.token_hex(8)
        headers = {**sign(key, "POST", "/v1/transfers", body, once), "idempotency-key": once}
        reply = await door.send(
            "POST", "/v1/transfers", token="", headers={**headers, **typed}, data=io.BytesIO(body)
        )
        assert reply.status == status, reply.text
    made_up = {"x-signature": "0" * 64, **typed}
    anonymous = await door.send(
        "POST", "/v1/transfers", token="", headers=made_up, data=io.BytesIO(long)
    )
    assert (anonymous.status, anonymous.json["code"]) == (413, 3)
    assert anonymous.json["details"][0]["reason"] == "BODY_TOO_LARGE"
    signed = (("x-signature", "0" * 64),)
    assert await called(door, RPC, signed, long) is grpc.StatusCode.INVALID_ARGUMENT
    assert await called(door, RPC, signed, b"") is grpc.StatusCode.UNAUTHENTICATED
    with_token = await door.send("POST", "/v1/transfers", headers=typed, data=io.BytesIO(long))
    assert with_token.status == 400


@pytest.mark.parametrize("header", CREDENTIALS)
@pytest.mark.parametrize("value", [b"\xff", b"a\xc3(", b"", b"\xe2\x80\xa8", b"x"])
async def test_no_bytes_of_a_credential_pass_edge_by(door: Door, header: str, value: bytes) -> None:
    """UTF-8 or not: beside a token it is one credential too many, and edge says so."""
    host, _, port = door.url.partition("://")[2].partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    lines = [
        b"GET /v1/assets HTTP/1.1",
        b"host: front",
        b"connection: close",
        f"authorization: Bearer {door.token}".encode(),
        header.encode() + b": " + value,
    ]
    writer.write(b"\r\n".join([*lines, b"", b""]))
    head, _, body = (await asyncio.wait_for(reader.read(), 10)).partition(b"\r\n\r\n")
    writer.close()
    assert head.startswith(b"HTTP/1.1 401 "), head
    assert b"give one credential" in body
