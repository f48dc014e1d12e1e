"""TLS towards what stands behind Envoy: whose certificates are believed, and which is shown. Pure.

Files are read when Envoy starts.
"""

import ipaddress
from pathlib import Path
from typing import Any

from walletkit.front import names
from walletkit.front.settings import FrontSettings

Json = dict[str, Any]

PUBLIC_AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")


def towards(settings: FrontSettings, address: str) -> Json:
    """Return what a cluster of services has besides; nothing where they are called in the clear."""
    if settings.upstream_ca is None:
        return {}
    pair = None
    if settings.upstream_cert is not None and settings.upstream_key is not None:
        pair = settings.upstream_cert, settings.upstream_key
    host = address.rpartition(":")[0].strip("[]")
    return {"transport_socket": socket(host, settings.upstream_ca, pair, alpn=("h2",))}


def socket(
    host: str, authority: Path, pair: tuple[Path, Path] | None = None, alpn: tuple[str, ...] = ()
) -> Json:
    """Speak TLS with whoever has a certificate of this authority for this host.

    ``pair``: the certificate, and its key, that are shown to it.
    """
    address = _is_address(host)
    common: Json = {
        "tls_params": {"tls_minimum_protocol_version": "TLSv1_2"},
        "validation_context": {
            "trusted_ca": {"filename": str(authority)},
            "match_typed_subject_alt_names": [
                {"san_type": "IP_ADDRESS" if address else "DNS", "matcher": {"exact": host}}
            ],
        },
    }
    if alpn:
        common["alpn_protocols"] = list(alpn)
    if pair is not None:
        certificate, key = ({"filename": str(path)} for path in pair)
        common["tls_certificates"] = [{"certificate_chain": certificate, "private_key": key}]
    context: Json = {
        "@type": f"{names.TYPES}.transport_sockets.tls.v3.UpstreamTlsContext",
        "common_tls_context": common,
    }
    if not address:
        # It names hosts alone.
        context["sni"] = host
    return {"name": "tls", "typed_config": context}


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
