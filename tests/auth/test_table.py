"""Every RPC as every caller, on a real server: admitted or refused as docs/authorization.md says.

The page is the expectation; what serves behind the interceptor tells on whose behalf it was called.
"""

import re
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message_factory import GetMessageClass
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from guilder.edge.proxy import authorization_pb2
from guilder.edge.v1 import key_service_pb2, limit_service_pb2
from guilder.ledger.v1 import ledger_service_pb2
from guilder.notify.v1 import notify_service_pb2
from guilder.wallet.v1 import wallet_audit_service_pb2, wallet_service_pb2
from tests.auth.issuing import ISSUER, Signer, jwks
from walletkit.auth.verifier import Issuer, Verifier
from walletkit.principal import TRUSTED, Principal, Role, current
from walletkit.rpc.admission import Admission
from walletkit.rpc.interceptor import StatusInterceptor
from walletkit.rpc.roles import OPEN, ROLES
from walletkit.rpc.status import DETAILS_KEY

PAGE = Path(__file__).resolve().parents[2] / "docs" / "authorization.md"
SERVICES: tuple[ServiceDescriptor, ...] = tuple(
    service
    for module in (
        wallet_service_pb2,
        wallet_audit_service_pb2,
        ledger_service_pb2,
        notify_service_pb2,
        key_service_pb2,
        limit_service_pb2,
        authorization_pb2,
    )
    for service in module.DESCRIPTOR.services_by_name.values()
)
METHODS: dict[str, MethodDescriptor] = {
    f"/{service.full_name}/{method.name}": method
    for service in SERVICES
    for method in service.methods
}
REFLECTION = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
SIGNER = Signer()
SUBJECT = "system:serviceaccount:guilder:relay"
UNLISTED = "/guilder.wallet.v1.WalletService/Unlisted"


def documented() -> Mapping[str, frozenset[Role]]:
    """Read the page's tables."""
    found: dict[str, frozenset[Role]] = {}
    service, columns = "", list(Role)
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            service = line.removeprefix("## ")
        elif line.startswith("| RPC |"):
            columns = [Role(name) for name in re.findall(r"[a-z]+", line)]
        elif service and (row := re.fullmatch(r"\| ([A-Z]\w+) \|(.*)\|", line)):
            cells = [cell.strip() for cell in row[2].split("|")]
            assert set(cells) <= {"yes", ""}
            pairs = zip(columns, cells, strict=True)
            found[f"/{service}/{row[1]}"] = frozenset(role for role, cell in pairs if cell)
    return found


def handler_of(method: MethodDescriptor, seen: list[Principal]) -> Any:  # noqa: ANN401  # gRPC's
    """Serve a method of whatever shape by noting who calls."""
    read = GetMessageClass(method.input_type).FromString
    reply = GetMessageClass(method.output_type)

    async def unary(_request: object, _context: object) -> object:
        seen.append(current())
        return reply()

    async def stream(_request: object, _context: object) -> AsyncIterator[object]:
        seen.append(current())
        yield reply()

    name = "stream" if method.server_streaming else "unary"
    shape = f"{'stream' if method.client_streaming else 'unary'}_{name}"
    make = getattr(grpc, f"{shape}_rpc_method_handler")
    behaviour = stream if method.server_streaming else unary
    return make(behaviour, read, lambda message: message.SerializeToString())


class Served:
    """A server of all services, and what its handlers saw."""

    def __init__(self, channel: grpc.aio.Channel, seen: list[Principal]) -> None:
        """Take both."""
        self.channel = channel
        self.seen = seen

    async def call(self, path: str, metadata: tuple[tuple[str, str], ...] = ()) -> str:
        """Call a method with nothing, and return the reason of its refusal, or nothing."""
        self.seen.clear()
        # One message and many answers: fits every shape, and sends nothing when all is over.
        start: Any = self.channel.unary_stream(path)
        call = start(b"", timeout=10, metadata=metadata)
        try:
            async for _reply in call:
                pass
        except grpc.aio.AioRpcError as error:
            return reason_of(error)
        return ""


def reason_of(error: grpc.aio.AioRpcError) -> str:
    """Return the reason in an error's details, or its code without any."""
    for key, value in error.trailing_metadata() or ():
        if key == DETAILS_KEY and isinstance(value, bytes):
            info = error_details_pb2.ErrorInfo()
            status = status_pb2.Status.FromString(value)
            assert status.code == error.code().value[0]
            assert status.details[0].Unpack(info)
            return str(info.reason)
    return error.code().name


@asynccontextmanager
async def serving(jwks_file: Path, *, trusting: bool) -> AsyncIterator[Served]:
    """Serve everything, as ``walletkit.rpc.server`` puts it together."""
    verifier = Verifier(
        [Issuer(ISSUER, str(jwks_file), frozenset((SUBJECT,)))],
        "guilder",
    )
    await verifier.start()
    seen: list[Principal] = []
    interceptor = StatusInterceptor(Admission(trusting, verifier))
    server = grpc.aio.server(interceptors=(interceptor,))
    for service in SERVICES:
        handlers = {method.name: handler_of(method, seen) for method in service.methods}
        handlers["Unlisted"] = next(iter(handlers.values()))
        generic = grpc.method_handlers_generic_handler(service.full_name, handlers)
        server.add_generic_rpc_handlers((generic,))
    health_pb2_grpc.add_HealthServicer_to_server(health.aio.HealthServicer(), server)
    reflection.enable_server_reflection((reflection.SERVICE_NAME,), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield Served(channel, seen)
    finally:
        await server.stop(None)
        await verifier.stop()


@pytest.fixture
def jwks_file(tmp_path: Path) -> Path:
    """The issuer's file."""
    path = tmp_path / "jwks.json"
    path.write_bytes(jwks(SIGNER.jwk))
    return path


def bearer(token: str) -> tuple[tuple[str, str], ...]:
    """Write a call's metadata."""
    return (("authorization", f"Bearer {token}"),)


def credentials() -> Iterator[tuple[Role, str, Principal]]:
    """Give each role, a token for it, and whom it speaks for."""
    for role in Role:
        if role is Role.INTERNAL:
            token, client = SIGNER.token(sub=SUBJECT, roles=None), SUBJECT
        else:
            account = "alice" if role is Role.CUSTOMER else None
            token, client = SIGNER.token(role.value, account_id=account), "tester"
        account_id = "alice" if role is Role.CUSTOMER else ""
        yield role, token, Principal(client, frozenset((role,)), account_id)


def test_every_rpc_has_a_row() -> None:
    """The table has each method of the descriptors, reflection, and nothing else; so has the page.

    Nobody but a service of the suite may call what has no route.
    """
    assert ROLES.keys() == METHODS.keys() | {REFLECTION}
    assert documented() == ROLES
    assert all(ROLES.values())


@pytest.mark.parametrize("trusting", [False, True], ids=["required", "trusted"])
async def test_every_cell(jwks_file: Path, *, trusting: bool) -> None:
    """Each role is admitted where the page says so, and then the handler knows who it is."""
    cells = 0
    async with serving(jwks_file, trusting=trusting) as served:
        for path, allowed in documented().items():
            if path == REFLECTION:
                continue
            nobody = "" if trusting else "CREDENTIALS_MISSING"
            assert await served.call(path) == nobody, path
            assert served.seen == ([TRUSTED] if trusting else []), path
            for role, token, principal in credentials():
                expected = "" if role in allowed else "PERMISSION_DENIED"
                assert await served.call(path, bearer(token)) == expected, (path, role)
                assert served.seen == ([principal] if role in allowed else []), (path, role)
                cells += 1
    assert cells == len(METHODS) * len(Role)


@pytest.mark.parametrize("trusting", [False, True], ids=["required", "trusted"])
async def test_bad_credentials_are_never_less_than_none(jwks_file: Path, *, trusting: bool) -> None:
    """Who trusts callers without a token still refuses a wrong one, and one without a role."""
    path = "/guilder.wallet.v1.WalletService/GetBalance"
    async with serving(jwks_file, trusting=trusting) as served:
        for token, reason in (
            (SIGNER.token(exp=1), "CREDENTIALS_EXPIRED"),
            (Signer().token(), "CREDENTIALS_INVALID"),
            (SIGNER.token(roles=[]), "PERMISSION_DENIED"),
            (SIGNER.token(roles=["staff"]), "PERMISSION_DENIED"),
        ):
            assert await served.call(path, bearer(token)) == reason
            assert served.seen == []


@pytest.mark.parametrize("trusting", [False, True], ids=["required", "trusted"])
async def test_a_method_without_a_row_is_refused_for_everybody(
    jwks_file: Path, *, trusting: bool
) -> None:
    """A new RPC is closed until it is in the table; one that does not exist is no secret."""
    async with serving(jwks_file, trusting=trusting) as served:
        assert await served.call(UNLISTED) == "PERMISSION_DENIED"
        for _role, token, _principal in credentials():
            assert await served.call(UNLISTED, bearer(token)) == "PERMISSION_DENIED"
        assert served.seen == []
        assert await served.call("/guilder.wallet.v1.WalletService/None") == "UNIMPLEMENTED"


async def test_health_is_open_and_reflection_is_not(jwks_file: Path) -> None:
    """Probes have no credentials, good ones or bad; what can be called is told to staff alone."""
    assert {path.split("/")[1] for path in OPEN} == {"grpc.health.v1.Health"}
    async with serving(jwks_file, trusting=False) as served:
        for metadata in ((), bearer("nonsense")):
            assert await served.call("/grpc.health.v1.Health/Check", metadata) == ""
        assert await served.call(REFLECTION) == "CREDENTIALS_MISSING"
        for role, token, _principal in credentials():
            expected = "" if role in documented()[REFLECTION] else "PERMISSION_DENIED"
            assert await served.call(REFLECTION, bearer(token)) == expected
