"""Read and write protobuf's Timestamp: the services count microseconds since 1970, UTC."""

from google.protobuf.timestamp_pb2 import Timestamp

MICROS = 1_000_000
"""In a second."""
NANOS_OF_MICRO = 1_000


def timestamp(time_us: int) -> Timestamp:
    """Write a time."""
    time = Timestamp()
    fill_time(time, time_us)
    return time


def fill_time(into: Timestamp, time_us: int) -> None:
    """Write a time in place: a message that is put into another one is copied."""
    into.seconds, micros = divmod(time_us, MICROS)
    into.nanos = micros * NANOS_OF_MICRO


def micros_of(time: Timestamp) -> int:
    """Read a time; parts of a microsecond are cut off."""
    return time.seconds * MICROS + time.nanos // NANOS_OF_MICRO
