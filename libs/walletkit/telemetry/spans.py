"""Tell a collector of the spans of traces that are followed, by OpenTelemetry's protocol (OTLP).

Whether a trace is followed is decided where it begins: by a caller's ``traceparent``, or here for
calls without one. A call that is not followed costs a look at its headers. A span is told when it
has ended, out of a bounded queue, by a thread of the library's own: a collector that is away costs
spans, and holds up nothing.
"""

import logging
import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from threading import Thread

import structlog
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    StatusCode,
    TraceFlags,
    Tracer,
    set_span_in_context,
)

from walletkit import trace
from walletkit.telemetry.tracing import ERROR, Told
from walletkit.trace import Span

MAX_QUEUED = 4_096
"""Spans that wait for the collector; those beyond it are dropped."""
MESSAGE_SPANS = 512
SEND_PERIOD_MS = 500
EXPORT_TIMEOUT_S = 2
FLUSH_S = 1.0
"""How long the end of a process waits for its last spans to be taken."""

log = structlog.get_logger()


class Spans:
    """Makes the spans of one process."""

    def __init__(self, tracer: Tracer, ratio: float) -> None:
        """Follow this share of the calls without a ``traceparent``."""
        self._tracer = tracer
        self._ratio = ratio

    def follows(self, traceparent: str | bytes | None) -> tuple[bool, Span | None]:
        """Tell whether a call is followed, and below which span of its caller's."""
        if traceparent is not None:
            above = trace.read(traceparent)
            return above is not None, above
        # It chooses what is watched, and guards nothing.
        return self._ratio > 0 and random.random() < self._ratio, None  # noqa: S311

    @contextmanager
    def call(self, name: str, above: Span | None) -> Iterator[Told]:
        """Answer a call below a span of its own, which tells what is put into the mapping."""
        with self._open(name, above, SpanKind.SERVER) as told:
            yield told

    @contextmanager
    def request(self, name: str, above: Span) -> Iterator[Told]:
        """Ask somebody else, likewise."""
        with self._open(name, above, SpanKind.CLIENT) as told:
            yield told

    def done(
        self,
        name: str,
        above: Span | None,
        began_ns: int,
        told: Mapping[str, str | int],
        links: Sequence[Span] = (),
        *,
        until_ns: int | None = None,
    ) -> Span:
        """Tell of what began and ended at times, nanoseconds since 1970; None: it ends now."""
        span = self._tracer.start_span(
            name,
            _below(above),
            attributes=dict(told),
            links=[Link(_context(linked)) for linked in links],
            start_time=began_ns,
        )
        span.end(until_ns)
        return _place(span.get_span_context())

    @contextmanager
    def _open(self, name: str, above: Span | None, kind: SpanKind) -> Iterator[Told]:
        span = self._tracer.start_span(name, _below(above), kind)
        told: Told = {}
        try:
            with trace.below(_place(span.get_span_context())):
                yield told
        finally:
            if ERROR in told:
                span.set_status(StatusCode.ERROR, str(told.pop(ERROR)))
            span.set_attributes(told)
            span.end()


class _Telling(SpanExporter):
    """Logs when the collector begins to fail, and when it works again: not each time."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter
        self._failing = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Pass spans on."""
        result = self._exporter.export(spans)
        failed = result is not SpanExportResult.SUCCESS
        if failed and not self._failing:
            log.warning("spans are lost: the collector does not take them", spans=len(spans))
        elif self._failing and not failed:
            log.info("the collector takes spans again")
        self._failing = failed
        return result

    def shutdown(self) -> None:
        """Close the channel."""
        self._exporter.shutdown()


@contextmanager
def exporting(service: str, endpoint: str, ratio: float) -> Iterator[Spans]:
    """Tell the collector at a URL during a block; its certificate etc. are in OTEL_EXPORTER_*."""
    # The library logs every try, as bare text.
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
    exporter = _Telling(OTLPSpanExporter(endpoint=endpoint, timeout=EXPORT_TIMEOUT_S))
    resource = Resource.create({"service.name": service})
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(
        BatchSpanProcessor(exporter, MAX_QUEUED, SEND_PERIOD_MS, MESSAGE_SPANS)
    )
    try:
        yield Spans(provider.get_tracer("guilder"), ratio)
    finally:
        # While the collector is away this would take its time.
        ending = Thread(target=provider.shutdown, name="last-spans", daemon=True)
        ending.start()
        ending.join(FLUSH_S)


def _context(span: Span) -> SpanContext:
    trace_id, span_id = int.from_bytes(span.trace_id), int.from_bytes(span.span_id)
    flags = TraceFlags(TraceFlags.SAMPLED)
    return SpanContext(trace_id, span_id, is_remote=True, trace_flags=flags)


def _below(span: Span | None) -> Context:
    if span is None:
        return Context()
    return set_span_in_context(NonRecordingSpan(_context(span)), Context())


def _place(context: SpanContext) -> Span:
    return Span(context.trace_id.to_bytes(16), context.span_id.to_bytes(8))
