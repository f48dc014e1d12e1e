"""Look at the certificates that the settings name: how long they count, and whose key is there."""

import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509

from guilder.cli.doctor.configuration import Configured
from guilder.cli.doctor.deadline import said
from guilder.cli.doctor.finding import Finding, fail, ok, warn

WARN_LEFT = timedelta(days=21)
"""Time to renew, and to restart every process one after the other: they read files at the start."""


def look_at_all(found: Configured) -> list[Finding]:
    """Look at every certificate of the services and of Envoy."""
    return [_look(variable, path, key) for variable, path, key in _named(found)]


def _named(found: Configured) -> Iterator[tuple[str, Path, Path | None]]:
    """Yield the variable, its file, and the file of the key where one belongs to it."""
    for name, settings in found.services.items():
        prefix = f"{name.upper()}_TLS_"
        if settings.tls_cert is not None:
            yield f"{prefix}CERT", settings.tls_cert, settings.tls_key
        if settings.tls_client_ca is not None:
            yield f"{prefix}CLIENT_CA", settings.tls_client_ca, None
        if settings.tls_ca is not None:
            yield f"{prefix}CA", settings.tls_ca, None
    if (front := found.front) is not None:
        if front.tls_cert is not None:
            yield "FRONT_TLS_CERT", front.tls_cert, front.tls_key
        if front.upstream_cert is not None:
            yield "FRONT_UPSTREAM_CERT", front.upstream_cert, front.upstream_key
        if front.upstream_ca is not None:
            yield "FRONT_UPSTREAM_CA", front.upstream_ca, None


def _look(variable: str, path: Path, key: Path | None) -> Finding:
    try:
        chain = x509.load_pem_x509_certificates(path.read_bytes())
        if key is not None:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(path, key)
    except (OSError, ValueError) as error:
        means = "a process that reads it does not start, or believes nobody"
        text = f"{path}: {said(error)}"
        return fail(variable, "certificate", text, means, "put a certificate, and its key, there")
    return judge(variable, chain, datetime.now(UTC))


def judge(variable: str, chain: list[x509.Certificate], now: datetime) -> Finding:
    """Judge a file by the first of its certificates to end. Pure."""
    ending = min(chain, key=lambda one: one.not_valid_after_utc)
    left = ending.not_valid_after_utc - now
    subject = ending.subject.rfc4514_string() or "no subject"
    text = f"{subject} until {ending.not_valid_after_utc:%Y-%m-%d}"
    mend = "renew it, then restart its processes one after the other"
    if left <= timedelta():
        return fail(variable, "certificate", text, "it is over: nobody believes it", mend)
    begun = max(one.not_valid_before_utc for one in chain)
    if begun > now:
        text = f"{subject} from {begun:%Y-%m-%d %H:%M} on"
        return fail(variable, "certificate", text, "not valid yet: nobody believes it", mend)
    if left < WARN_LEFT:
        means = f"{left.days} days are left; then nobody believes it"
        return warn(variable, "certificate", text, means, mend)
    return ok(variable, "certificate", text, f"{left.days} days are left")
