"""Keys of issuers: which are good, how they are fetched, rotated, kept, and done without."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from tests.auth.issuing import (
    AUDIENCE,
    ISSUER,
    Signer,
    jwk,
    jwks,
    new_key,
    verifier_of,
    write,
)
from walletkit.auth import jwks as sets
from walletkit.auth.jwks import JwksError, parse
from walletkit.auth.keys import Timing
from walletkit.auth.refusals import StartError
from walletkit.auth.verifier import Issuer, Verifier
from walletkit.errors import ServiceError

QUICK = Timing(url_refresh_s=0.05, file_refresh_s=0.05, retry_s=0.05, unknown_gap_s=0.2, keep_s=0.5)
CALM = Timing(unknown_gap_s=0.3)


class Server:
    """Serves a JWKS, or fails to, and counts how often it is asked."""

    def __init__(self, body: bytes) -> None:
        """Begin with a body."""
        self.body = body
        self.status = 200
        self.asked = 0
        self.url = ""
        self.leads_to = ""

    async def answer(self, _request: web.Request) -> web.Response:
        """Answer as it is set."""
        self.asked += 1
        if self.leads_to:
            raise web.HTTPFound(self.leads_to)
        return web.Response(body=self.body, status=self.status)


@asynccontextmanager
async def serving(body: bytes) -> AsyncIterator[Server]:
    """Serve a JWKS over HTTP."""
    server, app = Server(body), web.Application()
    app.router.add_get("/jwks.json", server.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}/jwks.json"
    try:
        yield server
    finally:
        await runner.cleanup()


@asynccontextmanager
async def verifying(place: str, timing: Timing = CALM) -> AsyncIterator[Verifier]:
    """Run a verifier of one issuer."""
    verifier = Verifier([Issuer(ISSUER, place)], AUDIENCE, timing)
    await verifier.start()
    try:
        yield verifier
    finally:
        await verifier.stop()


async def reason(verifier: Verifier, signer: Signer) -> str:
    """Return why a fresh token of a signer is refused; nothing when it is believed."""
    token = signer.token(jti=str(time.monotonic_ns()))
    try:
        await verifier.verify(f"Bearer {token}")
    except ServiceError as error:
        return error.reason
    return ""


async def until(verifier: Verifier, signer: Signer, expected: str) -> None:
    """Wait until a signer's tokens fare so."""
    async with asyncio.timeout(10):
        while await reason(verifier, signer) != expected:  # noqa: ASYNC110  # nothing tells
            await asyncio.sleep(0.02)


def test_good_keys_are_taken_and_others_passed_over() -> None:
    """Symmetric, private, weak, foreign-purpose, nameless and odd keys are none."""
    good = Signer("RS256", "good")
    found = parse(
        jwks(
            good.jwk,
            {"kty": "oct", "k": "c2VjcmV0", "kid": "symmetric"},
            {**Signer("EdDSA", "private").jwk, "d": "AAAA"},
            jwk(rsa.generate_private_key(65_537, 1_024), "weak"),  # noqa: S505  # is refused
            jwk(ec.generate_private_key(ec.SECP384R1()), "curve"),
            {**Signer("ES256", "alg").jwk, "alg": "ES512"},
            {**Signer("RS256", "pss").jwk, "alg": "PS256"},
            {**Signer("EdDSA", "use").jwk, "use": "enc"},
            {**Signer("EdDSA", "ops").jwk, "key_ops": ["sign"]},
            {**Signer("EdDSA", "x").jwk, "x": "!"},
            {**Signer("EdDSA").jwk, "kid": 7},
            {"kty": ["RSA"], "kid": "list"},
            {"kid": "empty"},
        )
    )
    assert {kid: key.algorithm_name for kid, key in found.items()} == {"good": "RS256"}


def test_what_is_no_set_of_keys() -> None:
    """Malformed, empty, too large or too many: an error, and no half of a set."""
    many = [jwk(new_key("EdDSA"), str(number)) for number in range(sets.MAX_KEYS + 1)]
    for raw in (b"", b"[]", b"{}", b'{"keys":[]}', b'{"keys":{}}', b"\xff", jwks(*many)):
        with pytest.raises(JwksError):
            parse(raw)
    with pytest.raises(JwksError, match="longer"):
        parse(b" " * (sets.MAX_BYTES + 1))


@pytest.mark.parametrize("content", [None, b"{}"])
async def test_a_file_without_keys_stops_the_start(tmp_path: Path, content: bytes | None) -> None:
    """A path that leads to no keys is a mistake of the operator's."""
    path = tmp_path / "jwks.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(StartError, match=r"jwks\.json"):
        await verifier_of(path)


async def test_a_file_is_read_again(tmp_path: Path) -> None:
    """Keys that are replaced in the file are replaced here; a broken file changes nothing."""
    old, new = Signer(kid="old"), Signer(kid="new")
    path = write(tmp_path, old.jwk)
    async with verifying(str(path), QUICK) as verifier:
        assert await reason(verifier, old) == ""
        write(tmp_path, new.jwk)
        await until(verifier, new, "")
        assert await reason(verifier, old) == "CREDENTIALS_INVALID"
        path.write_bytes(b"{")
        await asyncio.sleep(0.2)
        assert await reason(verifier, new) == ""


async def test_a_rotated_key_is_fetched_when_a_token_names_it() -> None:
    """The first token of a new key is believed at once; the old key counts while it is listed."""
    old, new = Signer("ES256", "old"), Signer("EdDSA", "new")
    async with serving(jwks(old.jwk)) as server, verifying(server.url) as verifier:
        await until(verifier, old, "")
        await asyncio.sleep(CALM.unknown_gap_s)
        server.body = jwks(old.jwk, new.jwk)
        assert await reason(verifier, new) == ""
        assert await reason(verifier, old) == ""
        server.body = jwks(new.jwk)
        await asyncio.sleep(CALM.unknown_gap_s)
        assert await reason(verifier, Signer(kid="third")) == "CREDENTIALS_INVALID"
        assert await reason(verifier, old) == "CREDENTIALS_INVALID"


async def test_unknown_keys_cause_few_fetches() -> None:
    """Anybody can make up key ids: they are refused without asking the issuer each time."""
    signer = Signer()
    async with serving(jwks(signer.jwk)) as server, verifying(server.url) as verifier:
        await until(verifier, signer, "")
        await asyncio.sleep(CALM.unknown_gap_s)
        before = server.asked
        strangers = [Signer(kid=f"made-up-{number}") for number in range(20)]
        found = await asyncio.gather(*(reason(verifier, stranger) for stranger in strangers))
        assert set(found) == {"CREDENTIALS_INVALID"}
        assert server.asked - before <= 1


async def test_a_url_may_answer_later() -> None:
    """Until there are keys, callers are told that the issuer can't be asked, not that they lie."""
    signer = Signer()
    async with serving(b"") as server:
        server.status = 503
        async with verifying(server.url, QUICK) as verifier:
            assert await reason(verifier, signer) == "ISSUER_UNAVAILABLE"
            server.body, server.status = jwks(signer.jwk), 200
            await until(verifier, signer, "")


async def test_keys_outlive_their_issuer_for_a_while() -> None:
    """While the issuer is away its last keys count, up to their age; then they come back."""
    signer = Signer()
    async with serving(jwks(signer.jwk)) as server, verifying(server.url, QUICK) as verifier:
        await until(verifier, signer, "")
        server.status = 500
        await asyncio.sleep(QUICK.keep_s / 3)
        assert await reason(verifier, signer) == ""
        await until(verifier, signer, "ISSUER_UNAVAILABLE")
        server.status = 200
        await until(verifier, signer, "")


async def test_a_redirect_is_not_followed() -> None:
    """Where keys come from is for the operator to say."""
    signer = Signer()
    async with serving(jwks(signer.jwk)) as real, serving(b"") as server:
        server.leads_to = real.url
        async with verifying(server.url) as verifier:
            assert await reason(verifier, signer) == "ISSUER_UNAVAILABLE"
        assert server.asked > real.asked == 0
