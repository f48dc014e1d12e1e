"""A customer who watches: one stream of events, its heartbeats and its cursor."""

import asyncio
from typing import Any

from google.protobuf.json_format import MessageToDict

from guilder.notify.v1 import notify_service_pb2 as pb
from tests.notify.world import Client, Shard


class Watch:
    """An open watch; heartbeats only move ``cursor``."""

    def __init__(self, client: Client, **request: Any) -> None:  # noqa: ANN401  # any field
        """Call."""
        self._call = client.stub.Watch(pb.WatchRequest(**request))
        self.cursor = ""

    async def begin(self) -> "Watch":
        """Wait for the first heartbeat: from here on nothing is missed."""
        assert await self.read() is None
        return self

    async def read(self) -> pb.Event | None:
        """Return the next event, or None for a heartbeat."""
        answer = await asyncio.wait_for(self._call.read(), 5)
        assert isinstance(answer, pb.WatchResponse)
        self.cursor = answer.cursor
        return answer.event if answer.HasField("event") else None

    async def take(self, count: int) -> list[pb.Event]:
        """Return so many events."""
        events: list[pb.Event] = []
        while len(events) < count:
            if (event := await self.read()) is not None:
                events.append(event)
        return events

    def close(self) -> None:
        """Hang up."""
        self._call.cancel()


async def all_events(client: Client, shard: Shard, count: int, **request: Any) -> list[pb.Event]:  # noqa: ANN401  # any field
    """Relay a shard's records and return the first events of everything kept."""
    await client.send(shard)
    watch = await Watch(client, cursor="0", **request).begin()
    events = await watch.take(count)
    watch.close()
    return events


def data_of(event: pb.Event) -> dict[str, Any]:
    """Return an event's data as plain values."""
    return MessageToDict(event.data)
