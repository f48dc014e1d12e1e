"""A client shows its token with every call, and to nobody else."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import grpc.aio
import pytest
from typer.testing import CliRunner, Result

from guilder.cli.access import Access
from guilder.cli.app import app
from guilder.cli.session import Session
from guilder.client import (
    Addresses,
    CredentialsExpiredError,
    Guilder,
    InternalError,
    PermissionDeniedError,
    UnauthenticatedError,
)
from guilder.client.errors import GuilderError
from guilder.client.sync import Guilder as SyncGuilder
from guilder.wallet.v1 import wallet_service_pb2, wallet_service_pb2_grpc
from tests.auth.issuing import Signer, verifier_of, write
from tests.client.fake_wallet import QUICK, SERVICES, FakeWallet, empty
from walletkit.rpc.admission import Admission
from walletkit.rpc.interceptor import StatusInterceptor
from walletkit.stack import issuer

SIGNER = Signer()


@asynccontextmanager
async def guarding(folder: Path) -> AsyncIterator[Addresses]:
    """Serve the fake to callers with tokens only."""
    verifier = await verifier_of(write(folder, SIGNER.jwk))
    server = grpc.aio.server(
        interceptors=[StatusInterceptor(Admission(trusting=False, verifier=verifier))]
    )
    fake = FakeWallet(empty)
    for name, service in SERVICES.items():
        handlers = {method.name: fake.handler(method) for method in service.methods}
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(name, handlers),))
    address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    yield Addresses(address, address, address)
    await server.stop(None)
    await verifier.stop()


@pytest.mark.parametrize(
    ("token", "kind"),
    [
        (None, UnauthenticatedError),
        ("abc", UnauthenticatedError),
        (SIGNER.token(exp=1), CredentialsExpiredError),
        ("internal", PermissionDeniedError),
    ],
)
async def test_a_refusal_has_its_class(
    tmp_path: Path, token: str | None, kind: type[GuilderError]
) -> None:
    """What is wrong with a token is told once, without the token, and not tried again."""
    if token == "internal":
        # Not made while tests are collected: it would be too old by now.
        token = SIGNER.token("internal")
    async with guarding(tmp_path) as addresses, Guilder(addresses, QUICK, token=token) as guilder:
        with pytest.raises(kind) as refused:
            await guilder.wallet.get_balance("w")
        assert type(refused.value) is kind
        assert token is None or token not in f"{refused.value!r}{refused.value}"


async def test_a_token_goes_with_every_kind_of_call(tmp_path: Path) -> None:
    """Single calls, streams of answers and streams both ways; a callable is asked for each."""
    asked: list[int] = []

    def renewed() -> str:
        asked.append(1)
        return SIGNER.token("operator", "auditor")

    async with guarding(tmp_path) as addresses, Guilder(addresses, QUICK, token=renewed) as guilder:
        await guilder.wallet.get_balance("w")
        with pytest.raises(InternalError):
            # The fake has no snapshot to give; what counts is that it is asked.
            await anext(aiter(guilder.audit.stream_balances(0)))
        stub = wallet_service_pb2_grpc.WalletServiceStub(guilder._channels[0])
        requests = iter((wallet_service_pb2.StreamTransfersRequest(),))
        assert len([answer async for answer in stub.StreamTransfers(requests, timeout=5)]) == 1
        assert len(asked) == 3


async def test_the_blocking_client_shows_it_too(tmp_path: Path) -> None:
    """Both clients take a token in the same way."""
    async with guarding(tmp_path) as addresses:

        def work() -> None:
            with SyncGuilder(addresses, QUICK, token=SIGNER.token()) as guilder:
                guilder.wallet.get_balance("w")

        await asyncio.to_thread(work)


@pytest.mark.parametrize("token", ["", "a b", "a\nb", "é"])
async def test_what_is_no_token_is_refused_unseen(token: str) -> None:
    """The error of gRPC would say what it can't send, token and all."""
    with pytest.raises(ValueError, match="printable") as refused:
        Guilder(token=token)
    assert not token or token not in str(refused.value)


def test_a_session_does_not_show_its_token() -> None:
    """Not in a traceback's locals, not in a log."""
    assert "secret" not in repr(Session(Addresses(), 1.0, Access("secret", "secret")))


def cli(*arguments: str, **environment: str) -> Result:
    """Run the command line."""
    return CliRunner().invoke(app, arguments, env={"COLUMNS": "200", **environment})


def test_development_tokens_are_believed(tmp_path: Path) -> None:
    """What the command line signs is what services verify."""
    issuer.made(tmp_path)
    options = ("--run-dir", str(tmp_path), "--role", "customer", "--account", "alice")
    result = cli("auth", "token", *options, "--client", "web", "--ttl", "15m")
    assert result.exit_code == 0, result.output
    assert result.stdout.count(".") == 2
    assert result.stdout.strip() == result.stdout[:-1]


@pytest.mark.parametrize(
    "options",
    [
        ("--role", "king"),
        ("--role", "internal"),
        ("--role", "customer"),
        ("--role", "operator", "--account", "alice"),
        ("--role", "customer", "--role", "operator", "--account", "alice"),
        ("--role", "operator", "--ttl", "1y"),
        ("--role", "operator", "--ttl", "31d"),
        ("--role", "operator", "--run-dir", "/nowhere"),
        (),
    ],
)
def test_wrong_tokens_are_not_signed(tmp_path: Path, options: tuple[str, ...]) -> None:
    """What no service would believe is a usage error."""
    issuer.made(tmp_path)
    assert cli("auth", "token", *options, GUILDER_RUN_DIR=str(tmp_path)).exit_code == 2


def test_a_token_that_cannot_be_sent_is_not_shown() -> None:
    """The error says what is wrong with it, and not what it is."""
    result = cli("assets", "list", GUILDER_TOKEN="secret token")
    assert result.exit_code == 2
    assert "secret" not in result.output
