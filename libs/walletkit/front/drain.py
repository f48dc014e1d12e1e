"""`python -m walletkit.front.drain SOCKET`: wait for SIGTERM, then have Envoy's callers leave.

Envoy itself ends at once on SIGTERM. Beside it, told to stop at the same moment, this has its
health turn bad and its connections closed gently, while whoever runs both lets Envoy live on for a
while. SOCKET is that of Envoy's admin interface. Exit 1 says that it did not answer.
"""

import http.client
import signal
import sys
import time

from walletkit.command import USAGE_ERROR
from walletkit.telemetry.unix_http import UnixConnection

STEPS = ("/healthcheck/fail", "/drain_listeners?graceful")
TIMEOUT_S = 2.0
TRIES = 5
PAUSE_S = 0.3
STOPS = (signal.SIGTERM, signal.SIGINT)


def drain(path: str) -> None:
    """Tell the Envoy behind an admin socket to drain. Raise ``OSError`` when it doesn't answer."""
    for step in STEPS:
        connection = UnixConnection("envoy", path, TIMEOUT_S)
        try:
            connection.request("POST", step)
            status = connection.getresponse().status
        except http.client.HTTPException as error:
            raise ConnectionError(f"{step}: {error!r}") from error
        finally:
            connection.close()
        if status != http.HTTPStatus.OK:
            raise ConnectionError(f"{step}: HTTP status {status}")


def main() -> int:
    """Wait, and drain."""
    if len(sys.argv) != 2:  # noqa: PLR2004  # the program and one argument
        sys.stderr.write("usage: python -m walletkit.front.drain SOCKET\n")
        return USAGE_ERROR
    signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)
    sys.stdout.write("waiting for a stop\n")
    sys.stdout.flush()
    signal.sigwait(STOPS)
    for tries in range(1, TRIES + 1):
        try:
            drain(sys.argv[1])
        except OSError as error:
            sys.stderr.write(f"try {tries} of {TRIES}: {error}\n")
            time.sleep(PAUSE_S)
        else:
            sys.stdout.write("envoy drains\n")
            return 0
    return 1


if __name__ == "__main__":
    sys.exit(main())
