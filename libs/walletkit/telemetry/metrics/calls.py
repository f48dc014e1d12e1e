"""What every gRPC service tells of its calls, under its own name."""

from time import perf_counter
from typing import NamedTuple

from walletkit.telemetry.bounds import LATENCY_S
from walletkit.telemetry.instruments import Counter, Family, Group, Histogram

OK = "OK"
CANCELLED = "CANCELLED"
SERVICES = ("wallet", "ledger", "notify", "edge")
ENVOYS = "edge"
"""The service that answers what Envoy asks, by contracts of Envoy's own."""


class Calls(NamedTuple):
    """The metrics of one service's calls."""

    requests: Family[Counter]
    seconds: Family[Histogram]
    errors: Family[Counter]


GROUPS = {service: Group(f"Calls of {service}") for service in SERVICES}


def _declare(service: str) -> Calls:
    group = GROUPS[service]
    return Calls(
        group.counter(
            f"{service}_grpc_requests_total",
            "calls that have ended; code CANCELLED: the caller has gone away, or a stream's"
            " credential has ended",
            *("method", "code"),
        ),
        group.histogram(
            f"{service}_grpc_request_duration_seconds",
            "from the handler's begin to its end, of calls with one request and one reply,"
            " whatever their code",
            "method",
            bounds=LATENCY_S,
        ),
        group.counter(
            f"{service}_errors_total",
            "calls that have failed; type is the gRPC code, code the reason of errors.md",
            *("type", "code", "method"),
        ),
    )


CALLS = {service: _declare(service) for service in SERVICES}


class CallMeter:
    """Counts the calls of one method."""

    __slots__ = ("_calls", "_method", "_ok", "_seconds")

    def __init__(self, path: str) -> None:
        """Take a method's path: ``/guilder.wallet.v1.WalletService/Transfer``, or Envoy's own."""
        _, full_name, name = path.split("/")
        parts = full_name.split(".")
        self._calls = CALLS[parts[1] if parts[0] == "guilder" else ENVOYS]
        self._method = f"{parts[-1]}/{name}"
        self._ok = self._calls.requests.of(self._method, OK)
        self._seconds = self._calls.seconds.of(self._method)

    def answered(self, began: float) -> None:
        """Count a reply, of a call that began at ``began`` by ``perf_counter``."""
        self._ok.value += 1
        self._seconds.observe(perf_counter() - began)

    def ended(self) -> None:
        """Count a stream that has ended well: how long one lives says nothing."""
        self._ok.value += 1

    def cancelled(self, began: float | None = None) -> None:
        """Count a call whose caller has gone away: that is no error of anybody's."""
        self._calls.requests.of(self._method, CANCELLED).add()
        if began is not None:
            self._seconds.observe(perf_counter() - began)

    def failed(self, code: str, reason: str, began: float | None = None) -> None:
        """Count a failure."""
        self._calls.requests.of(self._method, code).add()
        self._calls.errors.of(code, reason, self._method).add()
        if began is not None:
            self._seconds.observe(perf_counter() - began)
