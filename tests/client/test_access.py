"""A client speaks TLS, with a certificate of its own too, and shows a token or an API key."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import grpc.aio
import pytest
from typer.testing import CliRunner, Result

from guilder.cli.app import app
from guilder.client import Addresses, Guilder, Tls, UnavailableError
from guilder.client.sync import Guilder as SyncGuilder
from tests.auth.certificates import Authority
from tests.auth.issuing import Signer, verifier_of, write
from tests.client.fake_wallet import QUICK, SERVICES, FakeWallet, empty
from walletkit.auth.settings import AuthSettings
from walletkit.rpc.admission import Admission
from walletkit.rpc.interceptor import StatusInterceptor
from walletkit.rpc.tls import listen_on

SIGNER = Signer()
API_KEY = f"gk_{'0' * 32}_{'f' * 64}"
Metadata = Sequence[tuple[str, str | bytes]]


class Seeing(grpc.aio.ServerInterceptor):
    """Notes the metadata of calls."""

    def __init__(self) -> None:
        self.keys: list[str | bytes] = []

    async def intercept_service(self, continuation, details):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
        """Note one call's API key, and let it pass."""
        given: Metadata = details.invocation_metadata
        self.keys += [value for name, value in given if name == "x-api-key"]
        return await continuation(details)


@asynccontextmanager
async def serving(
    folder: Path, authority: Authority, *, trusting: bool = False, mutual: bool = False
) -> AsyncIterator[tuple[Addresses, Seeing]]:
    """Serve the fake by TLS, as a service does; with ``mutual`` it wants certificates."""
    certificate, key = authority.issue("server")
    settings = AuthSettings(
        auth_issuer=("https://issuer.test",),
        auth_jwks=(str(write(folder, SIGNER.jwk)),),
        tls_cert=certificate,
        tls_key=key,
        tls_client_ca=authority.ca if mutual else None,
    )
    verifier = await verifier_of(folder / "jwks.json")
    seeing = Seeing()
    admission = Admission(trusting=trusting, verifier=verifier)
    server = grpc.aio.server(interceptors=[seeing, StatusInterceptor(admission)])
    fake = FakeWallet(empty)
    for name, service in SERVICES.items():
        handlers = {method.name: fake.handler(method) for method in service.methods}
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(name, handlers),))
    address = f"127.0.0.1:{listen_on(server, '127.0.0.1:0', settings)}"
    await server.start()
    yield Addresses.behind(address), seeing
    await server.stop(None)
    await verifier.stop()


async def test_a_token_goes_by_tls(tmp_path: Path) -> None:
    """The service's certificate is checked against the authority that was given; both clients."""
    authority = Authority(tmp_path)
    async with serving(tmp_path, authority) as (addresses, _):
        tls, token = Tls(authority.ca), SIGNER.token()
        async with Guilder(addresses, QUICK, token=token, tls=tls) as guilder:
            await guilder.wallet.get_balance("w")

        def work() -> None:
            with SyncGuilder(addresses, QUICK, token=token, tls=tls) as guilder:
                guilder.wallet.get_balance("w")

        await asyncio.to_thread(work)


async def test_another_authoritys_service_gets_nothing(tmp_path: Path) -> None:
    """Neither one of a stranger's authority, nor one that public authorities don't know."""
    authority = Authority(tmp_path)
    stranger = Authority(tmp_path, "stranger")
    async with serving(tmp_path, authority, trusting=True) as (addresses, seeing):
        for tls in (Tls(stranger.ca), Tls(), None):
            async with Guilder(addresses, QUICK, api_key=API_KEY, tls=tls) as guilder:
                with pytest.raises(UnavailableError):
                    await guilder.wallet.get_balance("w")
    assert not seeing.keys


async def test_a_client_has_a_certificate(tmp_path: Path) -> None:
    """Where the service wants one, a call without it finds nobody."""
    authority = Authority(tmp_path)
    cert, key = authority.issue("client")
    async with serving(tmp_path, authority, trusting=True, mutual=True) as (addresses, _):
        async with Guilder(addresses, QUICK, tls=Tls(authority.ca, cert, key)) as guilder:
            await guilder.wallet.get_balance("w")
        async with Guilder(addresses, QUICK, tls=Tls(authority.ca)) as guilder:
            with pytest.raises(UnavailableError):
                await guilder.wallet.get_balance("w")


async def test_an_api_key_goes_with_every_call(tmp_path: Path) -> None:
    """As the metadata that Envoy shows to edge."""
    authority = Authority(tmp_path)
    async with (
        serving(tmp_path, authority, trusting=True) as (addresses, seeing),
        Guilder(addresses, QUICK, api_key=API_KEY, tls=Tls(authority.ca)) as guilder,
    ):
        await guilder.wallet.get_balance("w")
        await guilder.holds.get_hold("h")
    assert seeing.keys == [API_KEY, API_KEY]


@pytest.mark.parametrize("key", ["", "abc", API_KEY.upper(), f"{API_KEY}\n", "gs_" + API_KEY[3:]])
async def test_what_is_no_bearer_key_is_refused_unseen(key: str) -> None:
    """A signing key above all: it must never be sent."""
    with pytest.raises(ValueError, match="key") as refused:
        Guilder(api_key=key)
    assert not key or key not in str(refused.value)


async def test_two_credentials_are_refused() -> None:
    """Which of two would count is nobody's guess; nor does half of a pair prove anything."""
    with pytest.raises(ValueError, match="one credential"):
        Guilder(token="t", api_key=API_KEY)
    with pytest.raises(ValueError, match="needs its key"):
        Tls(cert=Path("client.pem"))


def cli(*arguments: str, **environment: str) -> Result:
    """Run the command line."""
    return CliRunner().invoke(app, arguments, env={"COLUMNS": "200", **environment})


async def test_the_command_line_speaks_tls(tmp_path: Path) -> None:
    """By options or variables; the token may be in a file that somebody renews."""
    authority = Authority(tmp_path)
    (tmp_path / "token").write_text(SIGNER.token() + "\n", encoding="ascii")
    cert, key = authority.issue("client")
    async with serving(tmp_path, authority, mutual=True) as (addresses, _):
        options = ["--address", addresses.wallet, "--tls-ca", str(authority.ca)]
        options += ["--tls-cert", str(cert), "--tls-key", str(key)]
        command = ("assets", "list", "--json")
        done = await asyncio.to_thread(
            cli, *options, "--token-file", str(tmp_path / "token"), *command
        )
        assert done.exit_code == 0, done.output
        variables = {
            "GUILDER_ADDRESS": addresses.wallet,
            "GUILDER_TLS_CA": str(authority.ca),
            "GUILDER_TLS_CERT": str(cert),
            "GUILDER_TLS_KEY": str(key),
            "GUILDER_TOKEN_FILE": str(tmp_path / "token"),
        }
        done = await asyncio.to_thread(lambda: cli(*command, **variables))
        assert done.exit_code == 0, done.output
        del variables["GUILDER_TOKEN_FILE"]
        done = await asyncio.to_thread(lambda: cli(*command, **variables))
        assert done.exit_code == 1
        assert "CREDENTIALS_MISSING" in done.output


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (("--token", "t", "--api-key", API_KEY), "one credential"),
        (("--token", "t", "--token-file", "empty"), "not both"),
        (("--token-file", "empty"), "no token"),
        (("--token-file", "none"), "none"),
        (("--tls-ca", "none"), "none"),
        (("--tls-key", "empty"), "certificate"),
        (("--api-key", "gs_" + API_KEY[3:]), "signing key"),
    ],
)
def test_what_can_not_be_meant_is_a_usage_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], named: str
) -> None:
    """Two credentials, files that are not there, half of a pair; no credential is shown."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").touch()
    done = cli(*options, "assets", "list")
    assert done.exit_code == 2, done.output
    assert named in done.output
    assert API_KEY[3:] not in done.output
