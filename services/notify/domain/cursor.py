"""Say where a watch goes on: a place in each shard's stream, written as one opaque text. Pure."""

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass

MAX_TEXT_LENGTH = 4_096
MAX_SHARDS = 1_024
_MAX_NUMBER = 2**63 - 1
_PART = re.compile(r"(\d{1,5}):(\d{1,19}):(\d{1,9})")
_VERSION = "1"


@dataclass(frozen=True, slots=True)
class Place:
    """All events up to record ``seq``, and the first ``taken`` events of the record after it."""

    seq: int
    taken: int = 0


def encode(places: Mapping[int, Place]) -> str:
    """Write the places of all shards."""
    parts = (f"{shard}:{place.seq}:{place.taken}" for shard, place in sorted(places.items()))
    text = f"{_VERSION};{','.join(parts)}"
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode(text: str) -> dict[int, Place]:
    """Read what ``encode`` wrote. Raise ``ValueError`` for anything else."""
    if len(text) > MAX_TEXT_LENGTH:
        message = "too long"
        raise ValueError(message)
    try:
        padded = text.encode("ascii") + b"=" * (-len(text) % 4)
        version, _, content = (
            base64.b64decode(padded, altchars=b"-_", validate=True).decode("ascii").partition(";")
        )
    except (binascii.Error, UnicodeError) as error:
        message = "not a cursor"
        raise ValueError(message) from error
    if version != _VERSION:
        message = "not a cursor of this version"
        raise ValueError(message)
    return dict(_parse(part) for part in content.split(",") if part)


def _parse(part: str) -> tuple[int, Place]:
    match = _PART.fullmatch(part)
    if match is None or int(match[2]) > _MAX_NUMBER:
        message = "not a place in a stream"
        raise ValueError(message)
    return int(match[1]), Place(int(match[2]), int(match[3]))
