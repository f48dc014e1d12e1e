"""Write moments as the wire has them. Client room, pure."""

from datetime import datetime

from google.protobuf.timestamp_pb2 import Timestamp


def to_timestamp(moment: datetime | None) -> Timestamp | None:
    """Return an aware datetime as a Timestamp; a naive one raises ``ValueError``."""
    if moment is None:
        return None
    if moment.tzinfo is None:
        message = "a time needs its zone"
        raise ValueError(message)
    timestamp = Timestamp()
    timestamp.FromDatetime(moment)
    return timestamp
