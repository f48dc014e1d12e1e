"""What the edge tests are made of: a process of edge, its callers, and requests that are signed."""

import hashlib
import hmac
import secrets
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import grpc
import grpc.aio
import jwt
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from edge import wiring
from edge.access.issuer import SigningKey
from edge.settings import Settings
from guilder.edge.proxy import authorization_pb2 as authz
from guilder.edge.proxy import authorization_pb2_grpc as authz_rpc
from guilder.edge.v1 import key_service_pb2 as pb
from guilder.edge.v1 import key_service_pb2_grpc as rpc
from guilder.edge.v1 import limit_service_pb2 as limit
from guilder.edge.v1 import limit_service_pb2_grpc as limit_rpc
from walletkit.rpc.interceptor import StatusInterceptor

WAIT_S = 10.0
WINDOW_S = 60
ISSUER = "https://edge.test"
AUDIENCE = "guilder"


@dataclass(frozen=True)
class Request:
    """A call as a client makes it; what signs it is what `docs/api.md` says."""

    method: str = "POST"
    path: str = "/v1/transfers?dry=1"
    body: bytes = b'{"amount": 5}'
    headers: tuple[tuple[str, str], ...] = ()

    def bearing(self, credential: str) -> "Request":
        """Send an API key with it."""
        return self.having({"x-api-key": credential})

    def having(self, headers: Mapping[str, str]) -> "Request":
        """Set headers."""
        return replace(self, headers=tuple((dict(self.headers) | dict(headers)).items()))

    def signed(
        self, credential: str, timestamp: str | None = None, nonce: str | None = None
    ) -> "Request":
        """Sign it."""
        _, key_id, secret = credential.split("_")
        stamp = str(int(time.time())) if timestamp is None else timestamp
        once = secrets.token_urlsafe(16) if nonce is None else nonce
        given = dict(self.headers)
        lines = ["GUILDER-HMAC-SHA256-V1", self.method, self.path]
        lines += [hashlib.sha256(self.body).hexdigest(), given.get("idempotency-key", "")]
        lines += [stamp, once, key_id]
        digest = hmac.new(bytes.fromhex(secret), "\n".join(lines).encode(), "sha256")
        return self.having(
            {
                "x-signature-key-id": key_id,
                "x-signature-timestamp": stamp,
                "x-signature-nonce": once,
                "x-signature": digest.hexdigest(),
            }
        )


@dataclass(frozen=True)
class Edge:
    """A running process, and what asks it."""

    settings: Settings
    app: wiring.App
    port: int
    channel: grpc.aio.Channel

    @property
    def keys(self) -> "rpc.KeyServiceAsyncStub":
        """What an admin calls."""
        stub: rpc.KeyServiceAsyncStub = rpc.KeyServiceStub(self.channel)
        return stub

    async def create(
        self,
        kind: "pb.KeyKind.ValueType" = pb.KEY_KIND_BEARER,
        **fields: Any,  # noqa: ANN401  # any field
    ) -> pb.CreateKeyResponse:
        """Make a key of a service."""
        usual: dict[str, Any] = {"client_id": "web", "roles": ["service"], "kind": kind}
        request = pb.CreateKeyRequest(**(usual | fields))
        return await self.keys.CreateKey(request, timeout=WAIT_S)

    async def signing_key(self) -> str:
        """Make a key that signs, and return its credential."""
        return (await self.create(pb.KEY_KIND_SIGNING)).credential

    async def check(
        self, request: Request, extensions: Mapping[str, str] | None = None
    ) -> authz.CheckResponse:
        """Ask as Envoy does."""
        asked = authz.CheckRequest()
        asked.attributes.context_extensions.update(extensions or {})
        http = asked.attributes.request.http
        http.method, http.path, http.raw_body = request.method, request.path, request.body
        http.headers.update(dict(request.headers))
        stub: authz_rpc.AuthorizationAsyncStub = authz_rpc.AuthorizationStub(self.channel)
        return await stub.Check(asked, timeout=WAIT_S)

    async def status(self, request: Request) -> int:
        """Ask, and return the HTTP status that Envoy would answer; 200 for a call that passes."""
        answer = await self.check(request)
        return answer.denied_response.status.code if answer.status.code else 200

    async def take(
        self, client: str, route: str = "write", tokens: int = 1, refused: int = 0
    ) -> limit.TakeTokensResponse:
        """Take tokens as Envoy does."""
        request = limit.TakeTokensRequest(
            client=client, route=route, tokens=tokens, refused=refused
        )
        stub: limit_rpc.LimitServiceAsyncStub = limit_rpc.LimitServiceStub(self.channel)
        return await stub.TakeTokens(request, timeout=WAIT_S)

    def claims(self, answer: authz.CheckResponse) -> dict[str, Any]:
        """Verify the token of a call that passes, as a service does, and return its claims."""
        (header,) = answer.ok_response.headers
        assert header.header.key == "authorization"
        scheme, token = header.header.value.split(" ")
        assert scheme == "Bearer"
        return verified(self.settings, token)


def verified(settings: Settings, token: str) -> dict[str, Any]:
    """Verify a token as a service does, and return its claims."""
    keys = jwt.PyJWKSet.from_dict(SigningKey.read(settings.signing_key_file).jwks())
    key = keys[jwt.get_unverified_header(token)["kid"]]
    claims: dict[str, Any] = jwt.decode(
        token,
        key,
        algorithms=["EdDSA"],
        issuer=ISSUER,
        audience=AUDIENCE,
        options={"require": ["exp", "iss", "aud", "sub"]},
    )
    return claims


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Edge]:
    """Run edge in this process until the block ends."""
    app = wiring.build(settings)
    app.loops.start()
    server = grpc.aio.server(interceptors=(StatusInterceptor(),))
    app.register(server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    channel = grpc.aio.insecure_channel(f"127.0.0.1:{port}")
    try:
        yield Edge(settings, app, port, channel)
    finally:
        await channel.close()
        await server.stop(0)
        await app.close()


def reason_of(error: grpc.aio.AioRpcError) -> str:
    """Return the reason of an error that a caller gets."""
    status = rpc_status.from_call(error)  # type: ignore[arg-type]  # the stub wants the sync one
    info = error_details_pb2.ErrorInfo()
    assert status is not None
    assert status.details[0].Unpack(info)
    return str(info.reason)
