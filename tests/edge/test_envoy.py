"""Through a real Envoy: what edge decides is what clients and services get."""

import json
from pathlib import Path

from edge.settings import Settings
from tests.edge.front import MAX_BODY_BYTES, fronted
from tests.edge.world import Edge, Request, running, verified

ODD = b'{"amount":  5, "note": "\xff\x00\r\n"}'
"""Bytes that no parser would give back as they were."""


async def test_credentials_become_tokens(edge: Edge, tmp_path: Path) -> None:
    """The service sees a token of the key's holder and neither key nor signature."""
    made, signing = await edge.create(), await edge.signing_key()
    request = Request(body=ODD)
    async with fronted(tmp_path, edge) as front:
        for call in (request.bearing(made.credential), request.signed(signing)):
            seen = await front.seen(call)
            token = seen["headers"]["authorization"].removeprefix("Bearer ")
            assert verified(edge.settings, token)["sub"] == "key:web"
            assert not [name for name in seen["headers"] if name.startswith("x-signature")]
            assert "x-api-key" not in seen["headers"]
            assert seen["body"] == ODD.hex()
        again = Request(method="GET", path="/v1/wallets?account_id=a%2Fb", body=b"")
        assert (await front.seen(again.signed(signing)))["body"] == ""
        wrong = made.credential[:-1] + "x"
        status, headers, body = await front.call(request.bearing(wrong))
        assert (status, json.loads(body)["message"]) == (401, "the API key is not valid")
        assert "www-authenticate" in headers


async def test_signature_is_over_the_bytes_sent(edge: Edge, tmp_path: Path) -> None:
    """Altered on the way, replayed, or too long to be seen whole: none reaches the service."""
    signing = await edge.signing_key()
    signed = Request(body=ODD).signed(signing)
    large = Request(body=b"x" * (MAX_BODY_BYTES + 1)).signed(signing)
    async with fronted(tmp_path, edge) as front:
        altered = Request(body=ODD + b" ", headers=signed.headers)
        assert (await front.call(altered))[0] == 401
        assert (await front.call(signed))[0] == 200
        status, _, body = await front.call(signed)
        message = json.loads(body)["message"]
        assert (status, message) == (401, "x-signature-nonce: was used before")
        assert (await front.call(large))[0] == 413
        assert (await front.call(Request()))[0] == 401


async def test_without_edge(migrated: Settings, tmp_path: Path) -> None:
    """API keys are refused with 503, since they can't be checked; calls with tokens go on."""
    async with running(migrated) as edge:
        made = await edge.create()
        call = Request().bearing(made.credential)
        granted = await edge.check(call)
        token = Request().having({"authorization": granted.ok_response.headers[0].header.value})
        ended = edge
    async with fronted(tmp_path, ended) as front:
        assert (await front.call(call))[0] == 503
        assert (await front.call(token))[0] == 200
