"""Run a gRPC service: health, reflection, readiness, and an end that loses no call.

On SIGTERM or SIGINT health turns NOT_SERVING, calls in flight finish, the caller's queues drain:
within 5 s in all.
"""

import asyncio
import gc
import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence
from time import monotonic
from typing import cast

import grpc.aio
import structlog
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from walletkit.auth.settings import AuthSettings
from walletkit.rpc.admission import Admission
from walletkit.rpc.interceptor import StatusInterceptor
from walletkit.rpc.symbols import MethodPool
from walletkit.rpc.tls import listen_on

LINGER_S = 1.2
"""How long calls are at least taken in after a stop. Envoy asks for health once a second and sends
nothing more to who is NOT_SERVING; and a server that stops cancels what the transport holds already
and no handler has seen yet."""
LINGER_MOST_S = 2.0
"""The same while calls still come: on a busy machine Envoy asks later, and a caller without one
does not ask at all."""
QUIET_S = 0.2
"""Nobody calls any more when nobody has for so long."""
REFUSE_S = 0.1
"""How long new calls are then refused, so that next to none is in that state when it stops."""
CALLS_S = 3.6
"""When calls that have not ended are cut off, from the stop on: the last one to be taken in still
has the second that a transfer may wait for its other shard, and half of one for its commits."""
DRAIN_S = 1.4
READY_POLL_S = 0.2
LIVE = "live"
"""Health under this name is SERVING until the stop, whether the service is ready or not."""
MAX_MESSAGE_BYTES = 16 * 1024 * 1024
KEEPALIVE_MS = 65_000
MAX_PENDING_CALLS = 20_000
"""Calls of all our methods that gRPC holds for handlers. Beyond its default of 1,000 it cancels
some at random; our own queues are shorter, and shed load with UNAVAILABLE, which says that a retry
is safe."""

GC_THRESHOLDS = (50_000, 20, 20)
"""Allocations before the garbage collector looks: at its default of 700 it took 9 % of a loaded
service's CPU (py-spy), to find next to nothing: calls leave no cycles behind."""

OPTIONS = (
    ("grpc.so_reuseport", 1),
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    ("grpc.keepalive_time_ms", KEEPALIVE_MS),
    ("grpc.server.max_pending_requests", MAX_PENDING_CALLS),
    ("grpc.server.max_pending_requests_hard_limit", MAX_PENDING_CALLS),
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
)

log = structlog.get_logger()


def by_name(server: grpc.aio.Server) -> grpc.aio.Server:
    """Return what servicers are registered with so that their methods are found as calls come.

    Generated code also has gRPC know each method ahead. Then grpc.aio waits for the next call of
    each one apart, and every call pays for all of them: an eighth of a loaded wallet's CPU.
    """
    return cast("grpc.aio.Server", _ByName(server))


class _ByName:
    """As much of a server as generated code needs to register a servicer."""

    def __init__(self, server: grpc.aio.Server) -> None:
        self._server = server

    def add_generic_rpc_handlers(self, handlers: Sequence[grpc.GenericRpcHandler]) -> None:
        """Serve methods by their names."""
        self._server.add_generic_rpc_handlers(handlers)

    def add_registered_method_handlers(self, service: str, handlers: Mapping[str, object]) -> None:
        """Leave it at their names."""


async def serve(
    *,
    listen: str,
    auth: AuthSettings,
    register: Callable[[grpc.aio.Server], None],
    service_names: Sequence[str],
    ready: Callable[[], bool],
    drain: Callable[[], Awaitable[None]],
    on_listening: Callable[[int], None] | None = None,
) -> None:
    """Serve until a signal says stop.

    Raise ``StartError`` without the keys or certificates that the settings name, ``RuntimeError``
    when the address can't be bound.
    """
    verifier = auth.verifier()
    await verifier.start()
    interceptor = StatusInterceptor(Admission.of(auth, verifier))
    server = grpc.aio.server(interceptors=(interceptor,), options=OPTIONS)
    named = by_name(server)
    register(named)
    health_servicer = health.aio.HealthServicer()
    # As generated: whoever asks whether we live does not stand in line behind all calls.
    health_pb2_grpc.add_HealthServicer_to_server(health_servicer, server)
    names = (*service_names, health.SERVICE_NAME, reflection.SERVICE_NAME)
    reflection.enable_server_reflection(names, named, cast("DescriptorPool", MethodPool()))
    port = listen_on(server, listen, auth)
    stop = _stop_event()
    _calm_collector()
    await _set_health(health_servicer, service_names, serving=False)
    await health_servicer.set(LIVE, health_pb2.HealthCheckResponse.SERVING)
    probes = await _answer_probes(auth.health_address, health_servicer)
    await server.start()
    log.info("listening", address=listen, port=port, auth=auth.auth_mode)
    if on_listening is not None:
        on_listening(port)
    watcher = asyncio.create_task(_follow_readiness(health_servicer, service_names, ready))
    await stop.wait()
    log.info("stopping")
    watcher.cancel()
    began = monotonic()
    await health_servicer.enter_graceful_shutdown()
    await _linger(interceptor, began)
    interceptor.refuse()
    await asyncio.sleep(REFUSE_S)
    await server.stop(began + CALLS_S - monotonic())
    await verifier.stop()
    try:
        async with asyncio.timeout(DRAIN_S):
            await drain()
    except TimeoutError:
        log.warning("queues did not drain in time", limit_s=DRAIN_S)
    if probes is not None:
        await probes.stop(None)
    log.info("stopped")


async def _linger(interceptor: StatusInterceptor, began: float) -> None:
    """Take calls in until no more come."""
    interceptor.note_calls()
    await asyncio.sleep(LINGER_S)
    give_up = began + LINGER_MOST_S
    until = min(give_up, interceptor.last_call + QUIET_S)
    while (wait_s := until - monotonic()) > 0:
        await asyncio.sleep(wait_s)
        until = min(give_up, interceptor.last_call + QUIET_S)


async def _answer_probes(
    address: str | None, servicer: health.aio.HealthServicer
) -> grpc.aio.Server | None:
    """Answer health alone, in the clear: the probe of an orchestrator has no certificate."""
    if address is None:
        return None
    server = grpc.aio.server(options=OPTIONS)
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    server.add_insecure_port(address)
    await server.start()
    return server


def _calm_collector() -> None:
    """Leave what start-up made out of every later collection, and collect less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)


def _stop_event() -> asyncio.Event:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signal_number, stop.set)
    return stop


async def _follow_readiness(
    servicer: health.aio.HealthServicer, names: Sequence[str], ready: Callable[[], bool]
) -> None:
    last: bool | None = None
    while True:
        now = ready()
        if now != last:
            log.info("readiness", serving=now)
            await _set_health(servicer, names, serving=now)
            last = now
        await asyncio.sleep(READY_POLL_S)


async def _set_health(
    servicer: health.aio.HealthServicer, names: Sequence[str], *, serving: bool
) -> None:
    status = health_pb2.HealthCheckResponse.ServingStatus.Value(
        "SERVING" if serving else "NOT_SERVING"
    )
    for name in ("", *names):
        await servicer.set(name, status)
