"""An installation as operators run it: processes that require credentials, TLS between all.

Edge, a ledger, and before them a real Envoy of the configuration that the product makes.
"""

import asyncio
import json
import os
import sys
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import grpc
import grpc.aio
from grpc_health.v1 import health_pb2, health_pb2_grpc

from edge.access.issuer import SigningKey
from edge.settings import Settings
from guilder.edge.v1 import key_service_pb2 as keys
from guilder.edge.v1 import key_service_pb2_grpc as keys_rpc
from guilder.wallet.v1 import wallet_service_pb2
from tests.auth.certificates import Authority
from tests.auth.issuing import ISSUER, Signer, write
from tests.edge.test_process import environment
from tests.edge.world import ISSUER as EDGE_ISSUER
from tests.edge.world import WAIT_S
from tests.front.beside import running
from walletkit.auth.settings import AuthSettings
from walletkit.front import FrontSettings, bootstrap
from walletkit.rpc.tls import open_channel
from walletkit.stack.settings import LOOPBACK, free_ports

FRONT_NAME = "front.guilder.test"
"""In Envoy's certificate; edge alone is told that it is one of the suite."""
START_S = 60
SIGNER = Signer()
PATH = "/v1/ledger/chart-of-accounts"


@dataclass(frozen=True)
class Installation:
    """What runs, and the files that it was given."""

    folder: Path
    authority: Authority
    edge: Process
    edge_address: str
    ledger_address: str
    settings: FrontSettings

    @asynccontextmanager
    async def front(self, name: str, **changes: object) -> AsyncIterator["Caller"]:
        """Run an Envoy with some settings changed."""
        (port,) = free_ports(1)
        listen = f"{LOOPBACK}:{port}"
        made = bootstrap(self.settings.model_copy(update={"listen": listen, **changes}))
        (folder := self.folder / name).mkdir()
        timeout = aiohttp.ClientTimeout(total=WAIT_S)
        async with (
            running(made, folder, f"http://{listen}"),
            aiohttp.ClientSession(f"http://{listen}", timeout=timeout) as session,
        ):
            yield Caller(session)

    def channel(self, address: str, **changes: object) -> grpc.aio.Channel:
        """Open a channel as one of the installation does, or as somebody else."""
        certificate, key = self.authority.issue("caller.test")
        files = {"tls_ca": self.authority.ca, "tls_cert": certificate, "tls_key": key}
        return open_channel(address, AuthSettings(auth_mode="trusted", **(files | changes)))  # type: ignore[arg-type]  # any field

    async def api_key(self, client: str) -> str:
        """Make a key of an auditor, as an admin does."""
        request = keys.CreateKeyRequest(
            client_id=client, roles=["auditor"], kind=keys.KEY_KIND_BEARER
        )
        metadata = (("authorization", f"Bearer {SIGNER.token('admin')}"),)
        async with self.channel(self.edge_address) as channel:
            stub: keys_rpc.KeyServiceAsyncStub = keys_rpc.KeyServiceStub(channel)
            made = await stub.CreateKey(request, timeout=WAIT_S, metadata=metadata)
        return made.credential


@dataclass(frozen=True)
class Caller:
    """Who calls an Envoy over REST."""

    session: aiohttp.ClientSession

    async def get(self, **headers: str) -> tuple[int, Mapping[str, str], dict[str, Any]]:
        """Read from the ledger; return status, headers and the document that answers."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.session.get(PATH, headers=named) as answer:
            return answer.status, answer.headers, await answer.json()

    async def until(self, status: int, **headers: str) -> None:
        """Call until the answer has this status: Envoy asks its services for their health first."""
        async with asyncio.timeout(START_S):
            while True:
                if (await self.get(**headers))[0] == status:
                    return
                await asyncio.sleep(0.1)


@asynccontextmanager
async def installed(
    settings: Settings, ledger_url: str, folder: Path, **edge: str
) -> AsyncIterator[Installation]:
    """Run edge and a ledger until the block ends; ``edge``: more variables of edge's."""
    edge_port, ledger_port, nobodys = free_ports(3)
    authority, jwks = Authority(folder), write(folder, SIGNER.jwk)
    (edge_jwks := folder / "edge-jwks.json").write_text(
        json.dumps(SigningKey.read(settings.signing_key_file).jwks())
    )
    common = {
        "AUTH_MODE": "required",
        "AUTH_ISSUER": f"{ISSUER},{EDGE_ISSUER}",
        "AUTH_JWKS": f"{jwks},{edge_jwks}",
        "TLS_CLIENT_CA": str(authority.ca),
    }
    of_edge = environment(settings, edge_port) | _own("EDGE", authority, common)
    of_edge |= {"EDGE_TLS_INTERNAL_NAMES": FRONT_NAME} | edge
    of_ledger = dict(os.environ) | _own("LEDGER", authority, common)
    of_ledger |= {
        "LEDGER_LISTEN": f"{LOOPBACK}:{ledger_port}",
        "LEDGER_DATABASE_URL": ledger_url,
        "LEDGER_WALLET_ADDRESS": f"{LOOPBACK}:{nobodys}",
    }
    async with AsyncExitStack() as stack:
        await _end(await _start("ledger", "migrate", of_ledger))
        process = await stack.enter_async_context(_serving("edge", of_edge))
        await stack.enter_async_context(_serving("ledger", of_ledger))
        certificate, key = authority.issue(FRONT_NAME)
        made = Installation(
            folder,
            authority,
            process,
            f"{LOOPBACK}:{edge_port}",
            f"{LOOPBACK}:{ledger_port}",
            FrontSettings(
                admin=f"unix:{folder.name}.sock",
                descriptors=Path(wallet_service_pb2.__file__).parents[3] / "guilder.binpb",
                wallet_address=f"{LOOPBACK}:{nobodys}",
                ledger_address=f"localhost:{ledger_port}",
                notify_address=f"{LOOPBACK}:{nobodys}",
                auth_jwks=str(jwks),
                auth_issuer=ISSUER,
                edge_address=f"{LOOPBACK}:{edge_port}",
                edge_jwks=str(edge_jwks),
                edge_issuer=EDGE_ISSUER,
                upstream_ca=authority.ca,
                upstream_cert=certificate,
                upstream_key=key,
            ),
        )
        for address in (made.edge_address, made.ledger_address):
            await _healthy(made, address)
        yield made


def _own(prefix: str, authority: Authority, common: Mapping[str, str]) -> dict[str, str]:
    certificate, key = authority.issue(f"{prefix.lower()}.test")
    own = {**common, "TLS_CERT": str(certificate), "TLS_KEY": str(key)}
    return {f"{prefix}_{name}": value for name, value in own.items()}


async def _start(package: str, command: str, variables: Mapping[str, str]) -> Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", package, command), env=variables, stdout=DEVNULL
    )


async def _end(process: Process) -> None:
    async with asyncio.timeout(START_S):
        assert await process.wait() == 0


@asynccontextmanager
async def _serving(package: str, variables: Mapping[str, str]) -> AsyncIterator[Process]:
    process = await _start(package, "serve", variables)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def _healthy(made: Installation, address: str) -> None:
    """Wait until a service answers; a probe needs no token, but a certificate."""
    async with asyncio.timeout(START_S), made.channel(address) as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)
        answer = await stub.Check(
            health_pb2.HealthCheckRequest(), wait_for_ready=True, timeout=START_S
        )
        while answer.status != health_pb2.HealthCheckResponse.SERVING:
            await asyncio.sleep(0.1)
            answer = await stub.Check(health_pb2.HealthCheckRequest(), timeout=START_S)
