"""Envoy before the services: its configuration, command line, and how to see that it answers."""

import http.client
import ssl
import sys
from functools import partial
from pathlib import Path

from guilder.wallet.v1 import wallet_service_pb2
from walletkit.front import Document, FrontSettings, bootstrap, folder
from walletkit.front.names import HEALTH
from walletkit.stack import edge, issuer
from walletkit.stack.errors import StackError
from walletkit.stack.probes import PROBE_TIMEOUT_SECONDS, NotReadyError
from walletkit.stack.process import Spec, program
from walletkit.stack.settings import LOOPBACK, StackSettings

ENVOY = "envoy"
# In the run folder, where Envoy works: an absolute path may exceed a socket's 107 characters.
ADMIN_SOCKET = "envoy.sock"
FLUSH_MS = 500
"""Longest time that a line of the access log waits to be written."""
DRAIN_S = 10
"""How long connections are asked to leave for, after somebody had Envoy drain."""


def specs(settings: StackSettings) -> list[Spec]:
    """Return the one process of the front door."""
    return [
        Spec(
            name=ENVOY,
            argv=(ENVOY, *_options(settings)),
            executable=program(str(Path(sys.executable).parent / ENVOY), ENVOY),
            folder=settings.run_dir,
            log=settings.run_dir / "log" / f"{ENVOY}.log",
            probe=partial(answers, url(settings)),
            port=settings.envoy_port,
            port_setting="GUILDER_ENVOY_PORT",
            prepare=partial(_configure, settings),
        )
    ]


def front_settings(settings: StackSettings) -> FrontSettings:
    """Return what the suite's Envoy is told; the rest, such as CORS, may be set in FRONT_*."""
    return FrontSettings(
        listen=f"{LOOPBACK}:{settings.envoy_port}",
        admin=f"unix:{ADMIN_SOCKET}",
        descriptors=Path(wallet_service_pb2.__file__).parents[3] / "guilder.binpb",
        wallet_address=f"{LOOPBACK}:{settings.wallet_port}",
        ledger_address=f"{LOOPBACK}:{settings.ledger_port}",
        notify_address=f"{LOOPBACK}:{settings.notify_port}",
        auth_jwks=str(issuer.Issuer(settings.run_dir / issuer.FOLDER).jwks),
        auth_issuer=issuer.NAME,
        auth_audience=issuer.AUDIENCE,
        edge_address=f"{LOOPBACK}:{settings.edge_port}",
        edge_jwks=str(edge.jwks(settings.run_dir)),
        edge_issuer=edge.ISSUER,
        trace_address=settings.trace_address or None,
        trace_ratio=settings.trace_ratio,
    )


def url(settings: StackSettings) -> str:
    """Return where REST is spoken."""
    scheme = "http" if front_settings(settings).tls_cert is None else "https"
    return f"{scheme}://{LOOPBACK}:{settings.envoy_port}"


def answers(base: str, _pid: int) -> None:
    """Ask for its health, as a load balancer does."""
    scheme, _, host = base.partition("://")
    connection = http.client.HTTPConnection(host, timeout=PROBE_TIMEOUT_SECONDS)
    if scheme == "https":
        connection = http.client.HTTPSConnection(
            host, timeout=PROBE_TIMEOUT_SECONDS, context=_whoever()
        )
    try:
        connection.request("GET", HEALTH)
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        raise NotReadyError(str(error)) from error
    finally:
        connection.close()
    if status != http.HTTPStatus.OK:
        raise NotReadyError(f"health is {status}")


def _whoever() -> ssl.SSLContext:
    """Accept any certificate: none is for loopback, where this one is shown."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _configure(settings: StackSettings) -> None:
    """Write the configuration of this start, and make the issuer whose tokens it takes."""
    issuer.made(settings.run_dir)
    edge.make_files(settings.run_dir)
    try:
        made = bootstrap(front_settings(settings), _documents(settings))
    except (OSError, ValueError) as error:
        raise StackError(f"{ENVOY} can't be configured: {error}") from error
    folder.save(made, settings.run_dir)


def _documents(settings: StackSettings) -> list[Document]:
    """Return what everybody may read: the contract, and the page that shows it."""
    return folder.contract(front_settings(settings).descriptors)


def _options(settings: StackSettings) -> tuple[str, ...]:
    return (
        *("--config-path", folder.CONFIGURATION),
        *("--concurrency", str(settings.envoy_concurrency)),
        *("--file-flush-interval-msec", str(FLUSH_MS)),
        *("--drain-time-s", str(DRAIN_S), "--drain-strategy", "immediate"),
        # Its shared memory would be one for all suites of the machine.
        "--disable-hot-restart",
    )
