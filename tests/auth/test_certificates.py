"""Certificates: a name that the settings know is a service of the suite, and nothing else is."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import grpc.aio
import pytest

from guilder.ledger.v1 import ledger_service_pb2
from tests.auth.certificates import DAY, Authority
from tests.auth.issuing import ISSUER, Signer, write
from tests.auth.test_table import Served, handler_of
from walletkit.auth.refusals import StartError
from walletkit.auth.settings import AuthSettings
from walletkit.principal import Principal, Role
from walletkit.rpc.admission import Admission
from walletkit.rpc.interceptor import StatusInterceptor
from walletkit.rpc.tls import listen_on, open_channel
from walletkit.telemetry.metrics.process import CERTIFICATE_EXPIRY

SERVICE = ledger_service_pb2.DESCRIPTOR.services_by_name["LedgerService"]
NAME = "services.guilder.test"
INTERNAL = "/guilder.ledger.v1.LedgerService/Ingest"
STREAM = "/guilder.ledger.v1.LedgerService/GetStatement"
SIGNER = Signer()


def settings_of(authority: Authority, name: str, jwks: Path) -> AuthSettings:
    """Return the settings of a service, or of a client, with a certificate for a name."""
    certificate, key = authority.issue(name)
    return AuthSettings(
        auth_issuer=(ISSUER,),
        auth_jwks=(str(jwks),),
        tls_cert=certificate,
        tls_key=key,
        tls_ca=authority.ca,
        tls_client_ca=authority.ca,
        tls_internal_names=(NAME,),
    )


@asynccontextmanager
async def serving(settings: AuthSettings) -> AsyncIterator[tuple[str, list[Principal]]]:
    """Serve the ledger's methods by TLS; give the address, and who called."""
    verifier = settings.verifier()
    await verifier.start()
    seen: list[Principal] = []
    interceptor = StatusInterceptor(Admission.of(settings, verifier))
    server = grpc.aio.server(interceptors=(interceptor,))
    handlers = {method.name: handler_of(method, seen) for method in SERVICE.methods}
    generic = grpc.method_handlers_generic_handler(SERVICE.full_name, handlers)
    server.add_generic_rpc_handlers((generic,))
    port = listen_on(server, "127.0.0.1:0", settings)
    await server.start()
    try:
        yield f"127.0.0.1:{port}", seen
    finally:
        await server.stop(None)
        await verifier.stop()


async def test_a_known_name_is_a_service_of_the_suite(tmp_path: Path) -> None:
    """It may call what services ask each other, and needs a token for the rest, like everybody."""
    authority, jwks = Authority(tmp_path), write(tmp_path, SIGNER.jwk)
    settings = settings_of(authority, NAME, jwks)
    async with serving(settings) as (address, seen):
        async with open_channel(address, settings) as channel:
            served = Served(channel, seen)
            assert await served.call(INTERNAL) == ""
            assert seen == [Principal(NAME, frozenset((Role.INTERNAL,)))]
            assert await served.call(STREAM) == "CREDENTIALS_MISSING"
            token = (("authorization", f"Bearer {SIGNER.token('auditor')}"),)
            assert await served.call(STREAM, token) == ""
            # Who shows a token is whom it speaks for.
            assert await served.call(INTERNAL, token) == "PERMISSION_DENIED"
            assert seen == []
        other = settings_of(authority, "caller.test", jwks)
        async with open_channel(address, other) as channel:
            served = Served(channel, seen)
            assert await served.call(INTERNAL) == "CREDENTIALS_MISSING"
            assert await served.call(STREAM, token) == ""


async def test_who_has_no_certificate_of_the_authority_does_not_get_in(tmp_path: Path) -> None:
    """Neither another authority's nor none at all."""
    authority, jwks = Authority(tmp_path), write(tmp_path, SIGNER.jwk)
    settings = settings_of(authority, NAME, jwks)
    (tmp_path / "other").mkdir()
    stranger = settings_of(Authority(tmp_path / "other"), NAME, jwks)
    stranger = stranger.model_copy(update={"tls_ca": authority.ca})
    bare = AuthSettings(auth_mode="trusted", tls_ca=authority.ca)
    async with serving(settings) as (address, seen):
        for caller in (stranger, bare):
            async with open_channel(address, caller) as channel:
                assert await Served(channel, seen).call(INTERNAL) == "UNAVAILABLE"
    assert seen == []


async def test_missing_files_stop_the_start(tmp_path: Path) -> None:
    """The message names the file."""
    authority, jwks = Authority(tmp_path), write(tmp_path, SIGNER.jwk)
    settings = settings_of(authority, NAME, jwks)
    assert settings.tls_key is not None
    settings.tls_key.unlink()
    with pytest.raises(StartError, match=r"\.key"):
        listen_on(grpc.aio.server(), "127.0.0.1:0", settings)
    with pytest.raises(StartError, match=r"\.key"):
        open_channel("127.0.0.1:1", settings)


async def test_a_certificate_tells_when_it_ends(tmp_path: Path) -> None:
    """The metric is the moment in the file that was read; one without a certificate is refused."""
    authority, jwks = Authority(tmp_path), write(tmp_path, SIGNER.jwk)
    settings = settings_of(authority, NAME, jwks)
    CERTIFICATE_EXPIRY.of().set(0)
    await open_channel("127.0.0.1:1", settings).close()
    left = CERTIFICATE_EXPIRY.of().value - time.time()
    assert 0 < left <= DAY.total_seconds()
    assert settings.tls_cert is not None
    settings.tls_cert.write_text("no certificate")
    with pytest.raises(StartError, match=r"\.crt: not a certificate"):
        listen_on(grpc.aio.server(), "127.0.0.1:0", settings)
