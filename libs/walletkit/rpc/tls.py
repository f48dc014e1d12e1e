"""Open ports and channels as the settings say: plain or TLS, with certificates on both sides."""

from collections.abc import Sequence
from pathlib import Path

import grpc
import grpc.aio
from cryptography import x509

from walletkit.auth.refusals import StartError
from walletkit.auth.settings import AuthSettings
from walletkit.auth.token_file import TokenFile
from walletkit.rpc.bearer import bearing
from walletkit.telemetry.metrics.process import CERTIFICATE_EXPIRY

Options = Sequence[tuple[str, str | int]]


def listen_on(server: grpc.aio.Server, address: str, settings: AuthSettings) -> int:
    """Add a port to a server and return its number.

    Raise ``StartError`` without its files, or when there is no certificate in them.
    """
    if settings.tls_cert is None or settings.tls_key is None:
        return server.add_insecure_port(address)
    pair = (_read(settings.tls_key), _read_certificate(settings.tls_cert))
    authority = settings.tls_client_ca
    credentials = grpc.ssl_server_credentials(
        [pair],
        root_certificates=None if authority is None else _read(authority),
        require_client_auth=authority is not None,
    )
    return server.add_secure_port(address, credentials)


def open_channel(address: str, settings: AuthSettings, options: Options = ()) -> grpc.aio.Channel:
    """Open a channel to another service, whose calls carry this service's token if it has one.

    Raise ``StartError`` without the files that the settings name, or with one that has nothing.
    """
    if settings.tls_ca is None:
        channel = grpc.aio.insecure_channel(address, options=options)
    else:
        channel = grpc.aio.secure_channel(address, _channel_credentials(settings), options=options)
    if settings.auth_token_file is None:
        return channel
    return bearing(channel, TokenFile(settings.auth_token_file).token)


def _channel_credentials(settings: AuthSettings) -> grpc.ChannelCredentials:
    assert settings.tls_ca is not None
    key, certificate = settings.tls_key, settings.tls_cert
    return grpc.ssl_channel_credentials(
        root_certificates=_read(settings.tls_ca),
        private_key=None if key is None else _read(key),
        certificate_chain=None if certificate is None else _read_certificate(certificate),
    )


def _read_certificate(path: Path) -> bytes:
    """Return a chain as it stands, and tell when it ends: the file is not read again."""
    content = _read(path)
    try:
        chain = x509.load_pem_x509_certificates(content)
    except ValueError as error:
        raise StartError(f"{path}: not a certificate in PEM: {error}") from error
    ends = min(certificate.not_valid_after_utc for certificate in chain)
    CERTIFICATE_EXPIRY.of().set(ends.timestamp())
    return content


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise StartError(f"{path}: {error.strerror}") from error
