"""Check a record as it arrives, before anything is asked of the database."""

from typing import NamedTuple

import structlog

from guilder.events.v1 import record_pb2 as events
from ledger.domain.record import Record
from ledger.store.codec import MalformedRecordError, UnknownVersionError, decode
from walletkit.chain import next_hash
from walletkit.errors import ServiceError
from walletkit.payload import size
from walletkit.telemetry.metrics.ledger import REFUSALS

log = structlog.get_logger()


class Incoming(NamedTuple):
    """A record whose hash follows from its bytes, and which is of the stream's shard."""

    seq: int
    prev_hash: bytes
    hash: bytes
    payload: bytes
    record: Record
    size: int
    """Bytes of the record, which the payload may hold packed."""


def check(shard: int, sent: events.SequencedRecord) -> Incoming:
    """Return the record, decoded.

    Raise ``ServiceError`` (CHAIN_BROKEN, RECORD_VERSION_UNKNOWN, JOURNAL_MISMATCH).
    """
    payload = sent.payload
    if next_hash(sent.prev_hash, payload) != sent.hash:
        raise refusal("CHAIN_BROKEN", shard, sent.seq, "the hash does not follow from the bytes")
    try:
        record = decode(payload)
    except UnknownVersionError as error:
        text = f"version {error.args[0]} is not known"
        raise refusal("RECORD_VERSION_UNKNOWN", shard, sent.seq, text) from error
    except MalformedRecordError as error:
        raise refusal("JOURNAL_MISMATCH", shard, sent.seq, str(error)) from error
    if record.shard != shard:
        text = f"the record is of shard {record.shard}"
        raise refusal("JOURNAL_MISMATCH", shard, sent.seq, text)
    return Incoming(sent.seq, sent.prev_hash, sent.hash, payload, record, size(payload))


def refusal(reason: str, shard: int, seq: int, text: str) -> ServiceError:
    """Make the error that refuses a record, and log it loudly.

    From here on the shard's stream stands still.
    """
    REFUSALS.of(str(shard), reason).add()
    log.error("record refused", reason=reason, shard=shard, seq=seq, detail=text)
    message = f"shard {shard}, record {seq}: {text}"
    return ServiceError(reason, message, {"shard": str(shard), "seq": str(seq)})
