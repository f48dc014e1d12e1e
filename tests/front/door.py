"""A client at the front door, of REST and of gRPC: made of the descriptors, not of our client."""

import asyncio
import json
import secrets
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import grpc.aio
from google.protobuf import descriptor_pool, json_format, message_factory
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message

import guilder.ledger.v1.ledger_service_pb2
import guilder.notify.v1.notify_service_pb2
import guilder.wallet.v1.wallet_service_pb2  # noqa: F401  # these register the services
from walletkit.front import rpcs
from walletkit.front.clusters import addresses
from walletkit.front.rpcs import Binding, Rpc
from walletkit.stack import Stack
from walletkit.stack.envoy import front_settings

Json = dict[str, Any]
ROLES = ("service", "operator", "auditor", "admin")
DEADLINE_S = 20.0
FIRST_LINE_S = 15.0
LOGGED_S = 10.0


@dataclass(frozen=True, slots=True)
class Reply:
    """What came over HTTP."""

    status: int
    headers: dict[str, str]
    text: str

    @property
    def json(self) -> Json:
        """Read the one document of the reply."""
        document: Json = json.loads(self.text)
        return document


@dataclass(frozen=True, slots=True)
class Door:
    """Calls through one Envoy, with a token."""

    suite: Stack
    url: str
    http: aiohttp.ClientSession
    channel: grpc.aio.Channel
    token: str

    @property
    def bearer(self) -> dict[str, str]:
        """Return the header of somebody who may do everything."""
        return {"authorization": f"Bearer {self.token}"}

    async def send(
        self,
        method: str,
        path: str,
        *,
        token: str | None = None,
        **options: Any,  # noqa: ANN401
    ) -> Reply:
        """Send a request; ``token``: another one, or none where it is empty."""
        headers = dict(options.pop("headers", {}))
        if token != "":
            headers["authorization"] = f"Bearer {token or self.token}"
        async with self.http.request(
            method, f"{self.url}{path}", headers=headers, **options
        ) as response:
            text = (await response.read()).decode()
            found = {name.lower(): value for name, value in response.headers.items()}
            return Reply(response.status, found, text)

    async def post(self, path: str, body: Json, **headers: str) -> Json:
        """Change something with a fresh key, and return the answer of a success."""
        keyed = {"idempotency-key": secrets.token_hex(8), **headers}
        reply = await self.send("POST", path, json=body, headers=keyed)
        assert reply.status == 200, reply.text
        return reply.json

    async def rest(self, binding: Binding, path: str, request: Message) -> list[Message]:
        """Make a call over REST as its annotation says; of an endless stream one line."""
        method = described(path)
        address, rest = _address(binding, request)
        options: Json = {"json": rest} if binding.method in {"POST", "PATCH"} else {}
        if not options:
            options = {"params": list(_flat(rest))}
        reply = message_factory.GetMessageClass(method.output_type)
        async with self.http.request(
            binding.method, f"{self.url}{address}", headers=self.bearer, **options
        ) as response:
            assert response.status == 200, await response.text()
            if method.name == "Watch":
                async with asyncio.timeout(FIRST_LINE_S):
                    lines = [await response.content.readline()]
            else:
                lines = (await response.read()).splitlines()
        return [json_format.Parse(line, reply()) for line in lines if line.strip()]

    async def grpc(
        self, path: str, request: Message, channel: grpc.aio.Channel | None = None
    ) -> list[Message]:
        """Make the same call over gRPC: through Envoy, or another channel."""
        method = described(path)
        call = (channel or self.channel).unary_stream(
            path,
            request_serializer=type(request).SerializeToString,
            response_deserializer=message_factory.GetMessageClass(method.output_type).FromString,
        )(request, timeout=DEADLINE_S, metadata=tuple(self.bearer.items()))
        found: list[Message] = []
        async for message in call:
            found.append(message)
            if method.name == "Watch":
                call.cancel()
                break
        return found

    async def wallet(self, account: str, minor: int = 10_000) -> str:
        """Create a wallet with some euros; return its id."""
        body = {"accountId": account, "currencyCode": "EUR"}
        made = await self.post("/v1/wallets", body)
        wallet: str = made["wallet"]["walletId"]
        if minor:
            amount = {"currencyCode": "EUR", "amountMinor": str(minor)}
            await self.post(f"/v1/wallets/{wallet}:deposit", {"amount": amount})
        return wallet

    async def hold(self, wallet: str, minor: int = 100) -> str:
        """Reserve some euros; return the hold's id."""
        amount = {"currencyCode": "EUR", "amountMinor": str(minor)}
        made = await self.post("/v1/holds", {"walletId": wallet, "amount": amount})
        hold: str = made["hold"]["holdId"]
        return hold


@asynccontextmanager
async def opened(suite: Stack, url: str = "") -> AsyncIterator[Door]:
    """Open a client at the suite's Envoy, or at another one before the same services."""
    url = url or suite.rest_url
    timeout = aiohttp.ClientTimeout(total=DEADLINE_S)
    token = suite.issuer.sign("tester", ROLES)
    async with (
        aiohttp.ClientSession(timeout=timeout) as http,
        grpc.aio.insecure_channel(url.partition("://")[2]) as channel,
    ):
        yield Door(suite, url, http, channel, token)


def public_rpcs(suite: Stack) -> Sequence[Rpc]:
    """List the calls that the front door leads to."""
    settings = front_settings(suite.settings)
    return rpcs.read(settings.descriptors, addresses(settings))


async def logged(log: Path, request_id: str) -> Json:
    """Wait for a request's line in the access log, and return it."""
    deadline = time.monotonic() + LOGGED_S
    while time.monotonic() < deadline:
        text = await asyncio.to_thread(log.read_text, encoding="utf-8")
        for line in text.splitlines():
            if f'"{request_id}"' in line:
                found: Json = json.loads(line)
                return found
        await asyncio.sleep(0.1)
    raise AssertionError(f"no line of request {request_id}")


def described(path: str) -> MethodDescriptor:
    """Return the descriptor of ``/package.Service/Method``."""
    service, _, name = path.removeprefix("/").partition("/")
    found: MethodDescriptor = (
        descriptor_pool.Default().FindServiceByName(service).methods_by_name[name]
    )
    return found


def _address(binding: Binding, request: Message) -> tuple[str, Json]:
    """Fill a template's variables; return the path, and the fields that are not in it."""
    rest = json_format.MessageToDict(request)
    names = {field.name: field.json_name for field in request.DESCRIPTOR.fields}
    path = binding.template
    for name, json_name in names.items():
        if f"{{{name}}}" in path:
            value = str(rest.pop(json_name, getattr(request, name)))
            path = path.replace(f"{{{name}}}", quote(value, safe=""))
    return path, rest


def _flat(document: Json, prefix: str = "") -> list[tuple[str, str]]:
    """Write a document as query parameters."""
    pairs: list[tuple[str, str]] = []
    for name, value in document.items():
        if isinstance(value, dict):
            pairs += _flat(value, f"{prefix}{name}.")
        else:
            each = value if isinstance(value, list) else [value]
            pairs += [(f"{prefix}{name}", str(one)) for one in each]
    return pairs
