"""Nobody gets through Envoy without a good token, and nobody reaches what is not public."""

import base64
import json
import time
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import jwt
import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from google.protobuf import descriptor_pb2

from guilder.wallet.v1 import wallet_service_pb2 as pb
from guilder.wallet.v1 import wallet_service_pb2_grpc as stubs
from tests.front.beside import configuration, envoy
from tests.front.calls import account
from tests.front.door import ROLES, Door, logged, opened, public_rpcs
from walletkit.front import Document, rpcs
from walletkit.stack import Stack
from walletkit.stack.envoy import ENVOY, front_settings
from walletkit.stack.issuer import AUDIENCE, NAME

OPEN = {"/healthz", "/openapi.json", "/docs", "/docs/", "/docs/swagger.js"}
NOTHING = "0190a000-0000-7000-8000-000000000000"
SOME_ASSETS = "/v1/assets"


def claims(**changes: object) -> dict[str, Any]:
    """Return the claims of a good token, with some changed; None takes one out."""
    now = int(time.time())
    good = {"iss": NAME, "aud": AUDIENCE, "sub": "tester", "roles": list(ROLES), "exp": now + 600}
    return {name: value for name, value in {**good, **changes}.items() if value is not None}


def signed(suite: Stack, *, kid: str | None = None, **changes: object) -> str:
    """Sign claims with the suite's own key."""
    key = load_pem_private_key((suite.issuer.folder / "key.pem").read_bytes(), None)
    known = json.loads(suite.issuer.jwks.read_text(encoding="utf-8"))["keys"][0]["kid"]
    token: str = jwt.encode(
        claims(**changes),
        key,  # type: ignore[arg-type]  # an Ed25519 key
        algorithm="EdDSA",
        headers={"kid": kid or known},
    )
    return token


def encoded(document: dict[str, Any]) -> str:
    """Write a part of a token."""
    return base64.urlsafe_b64encode(json.dumps(document).encode()).decode().rstrip("=")


def bad_tokens(suite: Stack) -> dict[str, str]:
    """Return a token for each way in which one can be bad."""
    good = signed(suite)
    head, body, signature = good.split(".")
    nobody, root = encoded({"alg": "none", "typ": "JWT"}), encoded(claims(sub="root"))
    stranger = ec.generate_private_key(ec.SECP256R1())
    (public,) = json.loads(suite.issuer.jwks.read_text(encoding="utf-8"))["keys"]
    kid = public["kid"]
    return {
        "expired": signed(suite, exp=int(time.time()) - 120),
        "never expires": signed(suite, exp=None),
        "not yet": signed(suite, nbf=int(time.time()) + 600),
        "another audience": signed(suite, aud="another"),
        "another issuer": signed(suite, iss="https://evil.test"),
        "no issuer": signed(suite, iss=None),
        "unknown kid": signed(suite, kid="unknown"),
        "alg none": f"{nobody}.{body}.",
        "no signature": f"{head}.{body}.",
        "altered": f"{head}.{root}.{signature}",
        "another's key": jwt.encode(claims(), stranger, algorithm="ES256", headers={"kid": kid}),
        "public key as a secret": jwt.encode(
            claims(), public["x"], algorithm="HS256", headers={"kid": kid}
        ),
        "no token": "x",
    }


async def test_every_bad_token_is_refused(door: Door) -> None:
    """At Envoy: 401 with the error's JSON over REST, UNAUTHENTICATED over gRPC."""
    assert (await door.send("GET", SOME_ASSETS, token=signed(door.suite))).status == 200
    stub = stubs.WalletServiceStub(door.channel)
    for name, token in bad_tokens(door.suite).items():
        reply = await door.send("GET", SOME_ASSETS, token=token)
        assert reply.status == 401, name
        assert reply.json["code"] == grpc.StatusCode.UNAUTHENTICATED.value[0], name
        assert reply.json["details"][0]["reason"] == "UNAUTHENTICATED"
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.GetWallet(
                pb.GetWalletRequest(), metadata=(("authorization", f"Bearer {token}"),), timeout=9
            )
        assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED, name
        assert "{" not in (refused.value.details() or ""), "gRPC gets no JSON"


async def test_a_token_is_taken_from_its_header_alone(door: Door) -> None:
    """One in a query string would stand in logs and histories."""
    reply = await door.send("GET", f"{SOME_ASSETS}?access_token={door.token}", token="")
    assert reply.status == 401


async def test_every_route_needs_a_token(door: Door, tmp_path: Path) -> None:
    """Of the configuration as Envoy has it: all but health, documentation and contract."""
    (document := tmp_path / "index.html").write_text("<p>hello", encoding="utf-8")
    documents = [Document(path, document) for path in sorted(OPEN - {"/healthz"})]
    made = configuration(door.suite, documents=documents)
    (listener,) = made["static_resources"]["listeners"]
    (chain,) = listener["filter_chains"]
    (manager,) = chain["filters"]
    (host,) = manager["typed_config"]["route_config"]["virtual_hosts"]
    async with (
        envoy(door.suite, tmp_path, documents=documents) as url,
        opened(door.suite, url) as other,
    ):
        open_paths = {"/healthz"}
        assert (await other.send("GET", "/healthz", token="")).status == 200
        for route in host["routes"]:
            method, _, path = route["name"].partition(" ")
            path = path.replace("{", "").replace("}", "")
            if method == "document":
                assert (await other.send("GET", path, token="")).status == 200
                assert (await other.send("POST", path, token="")).status == 401
                open_paths.add(path)
            elif method == "grpc":
                assert await called(other, path) is grpc.StatusCode.UNAUTHENTICATED
            else:
                assert (await other.send(method, path, token="")).status == 401, route["name"]
        assert open_paths == OPEN


async def test_every_call_of_the_descriptors_needs_a_token(door: Door) -> None:
    """Also those that no route leads to: nobody learns which there are."""
    image = descriptor_pb2.FileDescriptorSet.FromString(
        front_settings(door.suite.settings).descriptors.read_bytes()
    )
    paths = [path for path, _ in rpcs.methods(image)]
    assert len(paths) > len(public_rpcs(door.suite))
    for path in [*paths, "/grpc.health.v1.Health/Check", "/"]:
        assert await called(door, path) is grpc.StatusCode.UNAUTHENTICATED, path


async def test_what_is_internal_is_nowhere(door: Door) -> None:
    """With every role: no call between our services, no health, no reflection, no admin page."""
    image = descriptor_pb2.FileDescriptorSet.FromString(
        front_settings(door.suite.settings).descriptors.read_bytes()
    )
    public = {rpc.path for rpc in public_rpcs(door.suite)}
    internal = [path for path, _ in rpcs.methods(image) if path not in public]
    assert {path.rpartition("/")[2] for path in internal} >= {
        "Ingest",
        "StreamBalances",
        "ListShards",
        "ListTransactions",
    }
    other = ("/grpc.health.v1.Health/Check", "/grpc.reflection.v1alpha.ServerReflection/X")
    for path in (*internal, *other):
        metadata = tuple(door.bearer.items())
        assert await called(door, path, metadata) is grpc.StatusCode.UNIMPLEMENTED, path
        for method in ("GET", "POST"):
            reply = await door.send(method, path, headers={"content-type": "application/json"})
            assert reply.status == 404, path
            assert reply.json["code"] == grpc.StatusCode.NOT_FOUND.value[0]
    for path in ("/stats", "/config_dump", "/v1/wallets/../../stats", "//v1/nope", "/v1%2Fassets"):
        assert (await door.send("GET", path)).status == 404


async def called(
    door: Door, path: str, metadata: tuple[tuple[str, str], ...] = (), message: bytes = b""
) -> grpc.StatusCode:
    """Make a call with a message, empty by default; return its code."""
    call: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = door.channel.unary_unary(path)
    try:
        await call(message, timeout=10, metadata=metadata)
    except grpc.aio.AioRpcError as error:
        return error.code()
    return grpc.StatusCode.OK


async def test_keys_may_come_by_url(door: Door, tmp_path: Path) -> None:
    """RS256 and ES256 too; the keys are fetched before the first caller needs them."""
    keys: dict[str, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey] = {
        "RS256": rsa.generate_private_key(65_537, 2048),
        "ES256": ec.generate_private_key(ec.SECP256R1()),
    }
    public = [
        json.loads(jwt.get_algorithm_by_name(name).to_jwk(key.public_key()))
        | {"kid": name, "alg": name, "use": "sig"}
        for name, key in keys.items()
    ]

    async def told(_request: web.Request) -> web.Response:
        return web.json_response({"keys": public})

    app = web.Application()
    app.router.add_get("/jwks", told)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    try:
        jwks = f"http://127.0.0.1:{port}/jwks"
        async with (
            envoy(door.suite, tmp_path, auth_jwks=jwks) as url,
            opened(door.suite, url) as other,
        ):
            for name, key in keys.items():
                token = jwt.encode(claims(), key, algorithm=name, headers={"kid": name})
                reply = await other.send("GET", SOME_ASSETS, token=token)
                # Envoy lets it pass; the service, which has other keys, looks again.
                assert "`kid` is none of its issuer's keys" in reply.text
            refused = await other.send("GET", SOME_ASSETS)
            assert refused.status == 401
            assert "`kid`" not in refused.text
    finally:
        await runner.cleanup()


async def test_the_subject_is_the_tokens(door: Door) -> None:
    """What a client says of itself in our own headers is taken off."""
    wallet = await door.wallet(account())
    headers = {"x-guilder-subject": "root", "x-request-id": "subject-1"}
    await door.send("GET", f"/v1/wallets/{wallet}", headers=headers)
    line = await logged(door.suite.log(ENVOY), "subject-1")
    assert line["subject"] == "tester"
