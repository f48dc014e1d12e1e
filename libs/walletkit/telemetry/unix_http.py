"""HTTP over a Unix socket: to workers of this process, to Envoy's admin interface."""

import http.client
import socket


class UnixConnection(http.client.HTTPConnection):
    """Speaks to whoever listens at a socket's path, or at its abstract name."""

    def __init__(self, host: str, path: str, timeout_s: float) -> None:
        """Take the name that requests say, the socket, and the longest silence."""
        super().__init__(host, timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        """Open the socket."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)
