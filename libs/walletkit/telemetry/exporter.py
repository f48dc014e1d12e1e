"""Answer ``GET /metrics`` in a thread of its own, so that a scrape never waits for the event loop.

Nor the other way round: all that both share is the interpreter, a few milliseconds at a time.
"""

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import structlog
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

UNIX = "unix:@"
"""Begins the address of an abstract Unix socket: workers have such ones, for their parent."""
PATH = "/metrics"
REQUEST_TIMEOUT_S = 5.0
"""How long a client may be silent."""
MAX_CONNECTIONS = 8
POLL_S = 0.1

log = structlog.get_logger()


class ExporterError(RuntimeError):
    """The address can't be used; the message names it."""


@contextmanager
def exporting(address: str | None, registry: CollectorRegistry) -> Iterator[None]:
    """Answer scrapes during a block; None: nobody asks. Raise ``ExporterError``."""
    if address is None:
        yield
        return
    try:
        server = _open(address, registry)
    except (OSError, OverflowError) as error:
        # A port beyond 65535 overflows.
        why = getattr(error, "strerror", None) or error
        raise ExporterError(f"metrics can't be served at {address}: {why}") from error
    thread = threading.Thread(
        target=server.serve_forever, args=(POLL_S,), name="metrics", daemon=True
    )
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()


def socket_name(address: str) -> str:
    """Return the name of an abstract Unix socket as the system writes it."""
    return "\0" + address.removeprefix(UNIX)


class _Handler(BaseHTTPRequestHandler):
    """Answers one connection."""

    protocol_version = "HTTP/1.1"
    timeout = REQUEST_TIMEOUT_S
    server: "_Server"

    def do_GET(self) -> None:  # the library's name
        """Write all metrics, in the format that is asked for."""
        if urlsplit(self.path).path != PATH:
            self.send_error(404)
            return
        encode, content_type = choose_encoder(self.headers.get("accept", ""))
        try:
            with self.server.one_at_a_time:
                body = encode(self.server.registry)
        except Exception:
            # A scrape that just has no answer would not say why.
            log.exception("metrics can't be told")
            self.send_error(500)
            return
        self.send_response(200)
        self.send_header("content-type", content_type)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the library's name
        """Log nothing: a scrape every few seconds is no news."""


class _Server(ThreadingHTTPServer):
    """Serves a bounded number of connections; those beyond it are closed at once."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = MAX_CONNECTIONS

    def __init__(self, address: tuple[str, int] | str, registry: CollectorRegistry) -> None:
        if isinstance(address, str):
            self.address_family = socket.AF_UNIX
        elif ":" in address[0]:
            self.address_family = socket.AF_INET6
        self.registry = registry
        self.one_at_a_time = threading.Lock()
        self._free = threading.BoundedSemaphore(MAX_CONNECTIONS)
        super().__init__(address, _Handler)  # type: ignore[arg-type]  # a Unix socket has a name

    def server_bind(self) -> None:
        """Bind, and ask no name server for the name of this machine."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_name, self.server_port = "metrics", 0

    def process_request(self, request: object, client_address: object) -> None:
        """Start a thread for a connection, if there is one to spare."""
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)  # type: ignore[arg-type]
        else:
            self.shutdown_request(request)  # type: ignore[arg-type]

    def process_request_thread(self, request: object, client_address: object) -> None:
        """Serve a connection to its end."""
        try:
            super().process_request_thread(request, client_address)  # type: ignore[arg-type]
        finally:
            self._free.release()

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: a client that goes away early harms nobody but itself."""


def _open(address: str, registry: CollectorRegistry) -> _Server:
    if address.startswith(UNIX):
        return _Server(socket_name(address), registry)
    host, _, port = address.rpartition(":")
    return _Server((host.strip("[]"), int(port)), registry)


def worker_addresses(count: int) -> list[str]:
    """Make addresses for the workers of this process; they vanish with who listens there."""
    return [f"{UNIX}guilder-{os.getpid()}-{os.urandom(8).hex()}-{n}" for n in range(count)]
