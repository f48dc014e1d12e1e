"""A collector of spans: takes what is told by OTLP, keeps it, and writes it to a file."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc.aio
from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as pb
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as rpc
from opentelemetry.proto.trace.v1.trace_pb2 import Span

TOLD_S = 20.0


class Told:
    """A span, and the service that told it."""

    def __init__(self, service: str, span: Span) -> None:
        self.service = service
        self.span = span
        self.values = {item.key: _value(item.value) for item in span.attributes}

    @property
    def name(self) -> str:
        """The service and what it did."""
        return f"{self.service}: {self.span.name}"


class Collector(rpc.TraceServiceServicer):
    """Keeps every span."""

    def __init__(self, file: Path) -> None:
        self.spans: list[Told] = []
        self._file = file

    async def Export(  # noqa: N802  # the protocol's name
        self,
        request: pb.ExportTraceServiceRequest,
        context: object,  # noqa: ARG002  # part of the signature
    ) -> pb.ExportTraceServiceResponse:
        """Take spans."""
        with self._file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(MessageToDict(request)) + "\n")
        for of_resource in request.resource_spans:
            names = {item.key: item.value.string_value for item in of_resource.resource.attributes}
            for of_scope in of_resource.scope_spans:
                self.spans += [Told(names["service.name"], span) for span in of_scope.spans]
        return pb.ExportTraceServiceResponse()

    def of(self, trace_id: bytes) -> list[Told]:
        """Return the spans of one trace."""
        return [told for told in self.spans if told.span.trace_id == trace_id]

    async def until(self, there: Callable[[], Iterable[object]], what: str) -> None:
        """Wait until something was told."""
        give_up = time.monotonic() + TOLD_S
        while not there():
            names = sorted({told.name for told in self.spans})
            assert time.monotonic() < give_up, f"no {what} among {names}"
            await asyncio.sleep(0.05)


@asynccontextmanager
async def collecting(address: str, file: Path) -> AsyncIterator[Collector]:
    """Collect at an address for a while."""
    collector = Collector(file)
    server = grpc.aio.server()
    rpc.add_TraceServiceServicer_to_server(collector, server)  # type: ignore[no-untyped-call]
    assert server.add_insecure_port(address)
    await server.start()
    try:
        yield collector
    finally:
        await server.stop(0.5)


def _value(value: Any) -> str | int:  # noqa: ANN401  # of the protocol: a choice
    return value.int_value if value.HasField("int_value") else str(value.string_value)
