"""What Envoy makes of HTTP itself: limits, errors, compression, browsers, TLS, and its log."""

import asyncio
import datetime as dt
import io
import ipaddress
import ssl
import struct
import time
from pathlib import Path

import aiohttp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from google.rpc import code_pb2

from guilder.wallet.v1 import wallet_service_pb2 as pb
from tests.front.beside import configuration as configured
from tests.front.beside import envoy, valid
from tests.front.calls import WALLET, account
from tests.front.door import Door, Json, logged, opened
from walletkit.front import Document
from walletkit.front.listener import HEADERS_S, MAX_HEADERS, MAX_HEADERS_KIB
from walletkit.front.settings import FrontSettings
from walletkit.stack import Stack
from walletkit.stack.envoy import ENVOY, front_settings

LARGE = "/v1/ledger/chart-of-accounts"
"""An answer that is worth compressing."""
ORIGIN = "https://app.test"
RECOVERY_S = 30.0
GRPC_WEB_FRAME = struct.Struct(">BI")
TRAILERS = 0x80


@pytest.mark.parametrize(
    ("method", "path", "options", "status", "code"),
    [
        ("GET", "/v1/nope", {}, 404, code_pb2.NOT_FOUND),
        ("PUT", "/v1/assets", {}, 404, code_pb2.NOT_FOUND),
        ("GET", "/v1/assets?nope=1", {}, 400, code_pb2.INVALID_ARGUMENT),
        ("POST", "/v1/transfers", {"data": "{"}, 400, code_pb2.INVALID_ARGUMENT),
        ("POST", "/v1/transfers", {"data": '{"amount":{"amountMinor":1.5}}'}, 400, 3),
        ("POST", "/v1/transfers", {"data": io.BytesIO(b"x" * (8 * 2**20 + 1))}, 413, 3),
        ("GET", "/v1/assets", {"headers": {"x-a": "a" * (MAX_HEADERS_KIB * 1024)}}, 431, 3),
        ("GET", "/v1/assets", {"headers": {f"x-{n}": "" for n in range(MAX_HEADERS)}}, 431, 3),
        ("GET", "/v1/assets", {"headers": {"x_under": "1"}}, 400, 3),
    ],
)
async def test_a_refusal_of_envoys_is_a_status(
    door: Door, method: str, path: str, options: Json, status: int, code: int
) -> None:
    """JSON of one shape, `google.rpc.Status`, whoever refuses, with the right HTTP code."""
    reply = await door.send(method, path, **options)
    assert reply.status == status, reply.text
    assert reply.headers["content-type"] == "application/json"
    assert reply.json.keys() == {"code", "message", "details"}
    assert reply.json["code"] == code
    assert reply.json["details"][0]["domain"] == "guilder"


async def test_a_services_error_keeps_its_details(door: Door) -> None:
    """Reason, metadata and fields, as over gRPC."""
    wallet = await door.wallet(account(), 5)
    amount = {"currencyCode": "EUR", "amountMinor": "6"}
    headers = {"idempotency-key": "d"}
    path = f"/v1/wallets/{wallet}:withdraw"
    reply = await door.send("POST", path, json={"amount": amount}, headers=headers)
    assert reply.status == 400
    (info,) = reply.json["details"]
    assert info["@type"] == "type.googleapis.com/google.rpc.ErrorInfo"
    assert (info["reason"], info["metadata"]["available"]) == ("INSUFFICIENT_FUNDS", "5")
    missing = await door.send("POST", path, json={"amount": amount})
    assert missing.json["details"][1]["fieldViolations"][0]["field"] == "idempotency_key"


async def test_slow_headers_are_cut_off(door: Door) -> None:
    """A client that never finishes its headers (slow-loris) does not keep its connection."""
    begun = time.monotonic()
    reader, writer = await asyncio.open_connection(*_host(door))
    writer.write(b"GET /v1/assets HTTP/1.1\r\nhost: x\r\n")
    answer = asyncio.create_task(reader.read())
    while time.monotonic() - begun < HEADERS_S - 2:
        writer.write(b"x-a: b\r\n")
        await asyncio.sleep(1)
        assert not answer.done()
    assert b" 408 " in (await answer).splitlines()[0]
    assert time.monotonic() - begun < 2 * HEADERS_S
    writer.close()


async def test_answers_are_compressed_where_the_client_wants_it(door: Door) -> None:
    """With gzip; `x-no-compression` says no, and so does a client that does not ask."""
    wants = {"accept-encoding": "gzip"}
    packed = await door.send("GET", LARGE, headers=wants)
    assert packed.headers["content-encoding"] == "gzip"
    for headers in ({**wants, "x-no-compression": "1"}, {"accept-encoding": "identity"}):
        plain = await door.send("GET", LARGE, headers=headers)
        assert "content-encoding" not in plain.headers
        assert plain.text == packed.text


async def test_a_browser_can_speak_grpc_web(door: Door) -> None:
    """Bytes over HTTP/1.1 as its library sends them: a frame there, a frame and trailers back."""
    wallet = await door.wallet(account(), 8)
    message = pb.GetBalanceRequest(wallet_id=wallet).SerializeToString()
    headers = {
        **door.bearer,
        "content-type": "application/grpc-web+proto",
        "x-grpc-web": "1",
        "accept": "application/grpc-web+proto",
    }
    frame = GRPC_WEB_FRAME.pack(0, len(message)) + message
    url = f"{door.url}{WALLET}GetBalance"
    async with door.http.post(url, data=frame, headers=headers) as response:
        assert response.headers["content-type"] == "application/grpc-web+proto"
        body = await response.read()
    flag, length = GRPC_WEB_FRAME.unpack(body[: GRPC_WEB_FRAME.size])
    end = GRPC_WEB_FRAME.size + length
    reply = pb.GetBalanceResponse.FromString(body[GRPC_WEB_FRAME.size : end])
    assert (flag, reply.balance.posted_minor) == (0, 8)
    flag, length = GRPC_WEB_FRAME.unpack(body[end : end + GRPC_WEB_FRAME.size])
    assert flag == TRAILERS
    assert b"grpc-status:0" in body[end + GRPC_WEB_FRAME.size :].replace(b" ", b"")


async def test_a_killed_service_is_told_and_comes_back(door: Door, mended: Stack) -> None:
    """503 as JSON while it is away, for its own calls alone; nobody has to restart Envoy."""
    await asyncio.to_thread(mended.kill, "notify")
    reply = await door.send("GET", "/v1/subscriptions")
    assert reply.status == 503
    assert reply.json["code"] == code_pb2.UNAVAILABLE
    assert (await door.send("GET", "/v1/assets")).status == 200
    await asyncio.to_thread(mended.start, "notify")
    deadline = time.monotonic() + RECOVERY_S
    while reply.status != 200 and time.monotonic() < deadline:
        await asyncio.sleep(0.2)
        reply = await door.send("GET", "/v1/subscriptions")
    assert reply.status == 200


async def test_a_killed_envoy_starts_again(mended: Stack) -> None:
    """It keeps nothing: a new one takes over its port at once."""
    before = mended.identity(ENVOY)
    await asyncio.to_thread(mended.kill, ENVOY)
    await asyncio.to_thread(mended.start, ENVOY)
    assert mended.identity(ENVOY) != before
    async with opened(mended) as door:
        assert (await door.send("GET", "/v1/assets")).status == 200


async def test_the_log_has_what_is_needed_and_no_secret(door: Door, suite: Stack) -> None:
    """Request id, route, upstream, subject, times; no token, query, body or header of a key."""
    wallet = await door.wallet(account())
    headers = {
        "x-request-id": "log-1",
        "idempotency-key": "key-in-the-log",
        "x-guilder-subject": "root",
    }
    path = f"/v1/wallets/{wallet}/holds?pageToken=query-in-the-log"
    await door.send("GET", path, headers=headers)
    line = await logged(suite.log(ENVOY), "log-1")
    assert line["route"] == "GET /v1/wallets/{wallet_id}/holds"
    assert line["path"] == f"/v1/wallets/{wallet}/holds"
    assert (line["method"], line["subject"]) == ("GET", "tester")
    assert line["upstream"] == suite.address("wallet")
    assert line["duration_ms"] >= 0
    refused = {"x-request-id": "log-2", "x-api-key": "api-key-in-the-log"}
    assert (await door.send("GET", path, token="", headers=refused)).status == 401
    await logged(suite.log(ENVOY), "log-2")
    text = suite.log(ENVOY).read_text(encoding="utf-8")
    for secret in (door.token, door.token.split(".")[2], "-in-the-log"):
        assert secret not in text


async def test_a_request_id_is_kept_where_it_is_well_formed(door: Door) -> None:
    """Another is replaced: it would be written to logs as it is (T36)."""
    kept = await door.send("GET", "/v1/assets", headers={"x-request-id": "a.B-1:c_"})
    assert kept.headers["x-request-id"] == "a.B-1:c_"
    for bad in ('a"b', "a b", "x" * 65, ""):
        made = await door.send("GET", "/v1/assets", headers={"x-request-id": bad})
        assert made.headers["x-request-id"] not in {bad, ""}


async def test_an_address_is_believed_of_known_proxies_alone(
    door: Door, suite: Stack, tmp_path: Path
) -> None:
    """X-Forwarded-For is what a client says of itself, but for what a known proxy added (T36)."""
    claimed = {"x-forwarded-for": "203.0.113.7"}
    await door.send("GET", "/v1/assets", headers={**claimed, "x-request-id": "hops-0"})
    assert (await logged(suite.log(ENVOY), "hops-0"))["client"] == "127.0.0.1"
    async with envoy(suite, tmp_path, trusted_hops=1) as url, opened(suite, url) as other:
        await other.send("GET", "/v1/assets", headers={**claimed, "x-request-id": "hops-1"})
        claimed = {"x-forwarded-for": "198.51.100.1, 203.0.113.7"}
        await other.send("GET", "/v1/assets", headers={**claimed, "x-request-id": "hops-2"})
    for name in ("hops-1", "hops-2"):
        assert (await logged(tmp_path / "envoy.log", name))["client"] == "203.0.113.7"


async def test_browsers_may_call_from_the_origins_that_were_said(
    door: Door, suite: Stack, tmp_path: Path
) -> None:
    """Their question carries no token; from other origins, and by default, the answer is no."""
    asked = {
        "origin": ORIGIN,
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization,idempotency-key",
    }
    assert (await door.send("OPTIONS", "/v1/transfers", token="", headers=asked)).status == 401
    async with envoy(suite, tmp_path, cors_origins=(ORIGIN,)) as url, opened(suite, url) as other:
        reply = await other.send("OPTIONS", "/v1/transfers", token="", headers=asked)
        assert reply.status == 200
        assert reply.headers["access-control-allow-origin"] == ORIGIN
        assert "idempotency-key" in reply.headers["access-control-allow-headers"]
        called = await other.send("GET", "/v1/assets", headers={"origin": ORIGIN})
        assert called.headers["access-control-allow-origin"] == ORIGIN
        evil = {**asked, "origin": "https://evil.test"}
        reply = await other.send("OPTIONS", "/v1/transfers", token="", headers=evil)
        assert reply.status == 401
        assert "access-control-allow-origin" not in reply.headers
        reply = await other.send("OPTIONS", "/v1/transfers", headers=evil)
        assert reply.status == 404


async def test_tls_is_spoken_where_a_certificate_is_given(
    door: Door, suite: Stack, tmp_path: Path
) -> None:
    """TLS 1.2 or later, HTTP/1.1 and HTTP/2 by ALPN."""
    certificate, key = certify(tmp_path)
    trust = ssl.create_default_context(cafile=str(certificate))
    async with envoy(suite, tmp_path, tls_cert=certificate, tls_key=key) as url:
        async with door.http.get(f"{url}/v1/assets", ssl=trust, headers=door.bearer) as response:
            assert response.status == 200
        trust.set_alpn_protocols(["h2"])
        host, _, port = url.rpartition("/")[2].partition(":")
        _, writer = await asyncio.open_connection(host, int(port), ssl=trust)
        assert writer.get_extra_info("ssl_object").selected_alpn_protocol() == "h2"
        writer.close()
        old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        old.load_verify_locations(certificate)
        with pytest.warns(DeprecationWarning, match="TLSv1_1"):
            old.maximum_version = ssl.TLSVersion.TLSv1_1
        with pytest.raises(aiohttp.ClientConnectorError):
            await door.http.get(f"{url}/v1/assets", ssl=old)


async def test_documents_are_for_everybody(door: Door, suite: Stack, tmp_path: Path) -> None:
    """A folder of any files, large ones too, whole and with their media types."""
    site = tmp_path / "site"
    (site / "docs").mkdir(parents=True)
    (site / "openapi.json").write_text('{"openapi": "3.0.3"}', encoding="utf-8")
    (site / "docs" / "index.html").write_text("<title>Guilder</title>", encoding="utf-8")
    script = "// " + "x" * 3_000_000
    (site / "docs" / "viewer.js").write_text(script, encoding="utf-8")
    async with envoy(suite, tmp_path, documents_dir=site) as url, opened(suite, url) as other:
        for path, kind in {
            "/openapi.json": "application/json",
            "/docs": "text/html",
            "/docs/": "text/html",
            "/docs/index.html": "text/html",
            "/docs/viewer.js": "application/javascript",
        }.items():
            reply = await other.send("GET", path, token="")
            assert reply.status == 200, path
            assert reply.headers["content-type"].startswith(kind)
        assert (await other.send("GET", "/docs/viewer.js", token="")).text == script
        assert (await other.send("GET", "/docs/none.js")).status == 404


def test_only_documents_are_public(suite: Stack, tmp_path: Path) -> None:
    """Any other file in the folder stops the start, and so does one of an unknown kind."""
    (tmp_path / "secret.pem").write_text("x", encoding="utf-8")
    with pytest.raises(ValueError, match=r"secret\.pem"):
        configured(suite, documents_dir=tmp_path)
    unknown = Document("/docs/x", tmp_path / "secret.pem")
    with pytest.raises(ValueError, match=r"secret\.pem"):
        configured(suite, documents=[unknown])


def test_the_edge_is_switched_on_by_its_address(suite: Stack, tmp_path: Path) -> None:
    """Envoy takes the configuration with it, with keys by URL, and with all else together."""
    made = configured(
        suite,
        edge_address="edge.test:50054",
        edge_jwks="https://edge.test/jwks",
        edge_issuer="https://edge.test",
        auth_jwks="https://issuer.test/jwks",
        cors_origins=(ORIGIN,),
        admin="127.0.0.1:9901",
    )
    assert valid(made, tmp_path) == ""
    names = [cluster["name"] for cluster in made["static_resources"]["clusters"]]
    assert names == ["wallet", "ledger", "notify", "edge", "traces", "keys", "edge-keys"]


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"admin": "0.0.0.0:9901"}, "admin"),
        ({"tls_cert": "a.pem"}, "tls_key"),
        ({"edge_jwks": ""}, "edge_jwks"),
        ({"upstream_cert": "a.pem", "upstream_ca": "ca.pem"}, "upstream_key"),
        ({"upstream_cert": "a.pem", "upstream_key": "a.key"}, "upstream_ca"),
        ({"rate_limit_on_failure": "maybe"}, "rate_limit_on_failure"),
        ({"local_rate": -1}, "local_rate"),
        ({"cors_origins": "*"}, "cors_origins"),
        ({"max_body_bytes": 2**30}, "max_body_bytes"),
    ],
)
def test_a_setting_that_can_not_be_meant_is_refused(
    suite: Stack, changes: dict[str, object], named: str
) -> None:
    """By name: an admin interface for everybody, half a key pair, half an edge, every origin."""
    good = front_settings(suite.settings).model_dump()
    with pytest.raises(ValueError, match=named):
        FrontSettings(**{**good, **changes})


def certify(folder: Path) -> tuple[Path, Path]:
    """Write a certificate for loopback and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "guilder")])
    now = dt.datetime.now(dt.UTC)
    loopback = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([loopback]), critical=False)
        .sign(key, hashes.SHA256())
    )
    certificate, private = folder / "tls.crt", folder / "tls.key"
    certificate.write_bytes(made.public_bytes(Encoding.PEM))
    plain = NoEncryption()
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, plain))
    return certificate, private


def _host(door: Door) -> tuple[str, int]:
    host, _, port = door.url.partition("://")[2].partition(":")
    return host, int(port)
