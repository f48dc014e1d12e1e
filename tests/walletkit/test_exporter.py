"""Scrapes are answered beside the event loop, at one address, by a bounded number of threads."""

import http.client
import socket
import threading
import time
from collections.abc import Iterable, Iterator

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from walletkit.stack.settings import free_ports
from walletkit.telemetry.exporter import (
    MAX_CONNECTIONS,
    ExporterError,
    exporting,
    worker_addresses,
)
from walletkit.telemetry.gathering import of_workers

HOST = "127.0.0.1"
OTHER_HOST = "127.0.0.2"


class One(Collector):
    """Tells one number."""

    def __init__(self, number: float) -> None:
        self.number = number

    def collect(self) -> Iterable[Metric]:
        """Tell it."""
        metric = Metric("t_number", "a number", "gauge")
        metric.add_sample("t_number", {}, self.number)
        yield metric


def registry_of(number: float) -> CollectorRegistry:
    """Return a registry that tells one number."""
    registry = CollectorRegistry()
    registry.register(One(number))
    return registry


@pytest.fixture
def port() -> Iterator[int]:
    """Serve the number 7 on a free port."""
    (free,) = free_ports(1)
    with exporting(f"{HOST}:{free}", registry_of(7)):
        yield free


def get(port: int, path: str = "/metrics", accept: str = "") -> tuple[int, str, str]:
    """Return status, content type and text."""
    connection = http.client.HTTPConnection(HOST, port, timeout=5)
    try:
        connection.request("GET", path, headers={"accept": accept})
        reply = connection.getresponse()
        return reply.status, reply.headers["content-type"], reply.read().decode()
    finally:
        connection.close()


def test_a_scrape_gets_the_format_that_it_asks_for(port: int) -> None:
    """Text for whoever says nothing, OpenMetrics for Prometheus; other paths have nothing."""
    status, kind, text = get(port)
    assert (status, text.splitlines()[-1]) == (200, "t_number 7.0")
    assert kind.startswith("text/plain")
    _, kind, text = get(port, accept="application/openmetrics-text; version=1.0.0")
    assert kind.startswith("application/openmetrics-text")
    assert text.endswith("# EOF\n")
    assert get(port, "/")[0] == 404


def test_only_the_address_given_answers(port: int) -> None:
    """Another address of the same machine is refused."""
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((OTHER_HOST, port), timeout=5)


def test_a_taken_address_is_refused_by_name(port: int) -> None:
    """A process that can't be watched does not start."""
    with (
        pytest.raises(ExporterError, match=f"{HOST}:{port}.*[Aa]ddress already in use"),
        exporting(f"{HOST}:{port}", registry_of(8)),
    ):
        pass


def test_silent_clients_hold_up_nobody(port: int) -> None:
    """Those that connect and say nothing take a bounded number of threads; others are answered."""
    before = threading.active_count()
    silent = [socket.create_connection((HOST, port)) for _ in range(MAX_CONNECTIONS - 1)]
    assert get(port)[0] == 200
    silent += [socket.create_connection((HOST, port)) for _ in range(3 * MAX_CONNECTIONS)]
    time.sleep(0.3)
    assert threading.active_count() <= before + MAX_CONNECTIONS
    for connection in silent:
        connection.close()
    give_up = time.monotonic() + 5
    while True:
        try:
            assert get(port)[0] == 200
        except (OSError, http.client.HTTPException):
            assert time.monotonic() < give_up
            time.sleep(0.05)
        else:
            break


def test_it_ends_with_its_block() -> None:
    """Afterwards nobody listens; without an address nobody ever does."""
    (free,) = free_ports(1)
    with exporting(f"{HOST}:{free}", registry_of(1)):
        assert get(free)[0] == 200
    with pytest.raises(ConnectionRefusedError):
        get(free)
    before = threading.active_count()
    with exporting(None, registry_of(1)):
        assert threading.active_count() == before


def test_one_scrape_sees_all_workers_that_answer() -> None:
    """Each with its number; one that is gone is told of, and holds nothing up."""
    first, second, gone = worker_addresses(3)
    (free,) = free_ports(1)
    with (
        exporting(first, registry_of(3)),
        exporting(second, registry_of(4)),
        exporting(f"{HOST}:{free}", of_workers([first, second, gone])),
    ):
        _, _, text = get(free)
    lines = set(text.splitlines())
    assert {'t_number{worker="0"} 3.0', 't_number{worker="1"} 4.0'} <= lines
    ups = {f'guilder_worker_up{{worker="{n}"}} {up}' for n, up in enumerate(("1.0", "1.0", "0.0"))}
    assert ups <= lines
