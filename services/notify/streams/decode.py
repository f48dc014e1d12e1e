"""Read a record's bytes: its version at once, its facts where somebody asks for them."""

from collections.abc import Iterable

from google.protobuf.message import DecodeError

from guilder.events.v1 import record_pb2 as pb
from notify.domain import facts
from notify.domain.facts import EventType
from walletkit.errors import ServiceError

KNOWN_VERSION = 1
# Field 1, a varint; serializers write fields in the order of their numbers, so a record begins with
# it.
_USUAL_START = bytes((0x08, KNOWN_VERSION))

_CHANGES = {
    pb.WALLET_CHANGE_KIND_CREATED: EventType.WALLET_CREATED,
    pb.WALLET_CHANGE_KIND_FROZEN: EventType.WALLET_FROZEN,
    pb.WALLET_CHANGE_KIND_UNFROZEN: EventType.WALLET_UNFROZEN,
    pb.WALLET_CHANGE_KIND_CLOSED: EventType.WALLET_CLOSED,
}
_TYPE_NAMES = {value: name for name, value in pb.TransactionType.items()}
_STATE_NAMES = {value: name for name, value in pb.TransactionState.items()}
_STATUS_NAMES = {value: name for name, value in pb.WalletStatus.items()}


def check_version(shard: int, seq: int, payload: bytes) -> None:
    """Raise RECORD_VERSION_UNKNOWN unless this program knows the record's format."""
    if payload.startswith(_USUAL_START):
        return
    try:
        version = pb.Record.FromString(payload).version
    except DecodeError:
        version = 0
    if version != KNOWN_VERSION:
        metadata = {"shard": str(shard), "seq": str(seq), "version": str(version)}
        message = f"record {seq} of shard {shard} has version {version}"
        raise ServiceError("RECORD_VERSION_UNKNOWN", message, metadata)


def decode(shard: int, seq: int, payload: bytes) -> facts.Facts:
    """Read all facts that make events."""
    record = pb.Record.FromString(payload)
    return facts.Facts(
        shard=shard,
        seq=seq,
        time_us=record.time_us,
        transactions=tuple(_transaction(item) for item in record.transactions),
        legs=tuple(
            facts.Leg(item.transaction_id, item.leg, _postings(item.postings))
            for item in record.landed_legs
        ),
        # A kind that this program does not know tells nothing that it could say.
        changes=tuple(_change(item) for item in record.wallet_changes if item.kind in _CHANGES),
    )


def time_us(payload: bytes) -> int:
    """Return when a record was committed."""
    return pb.Record.FromString(payload).time_us


def _transaction(item: pb.Transaction) -> facts.Transaction:
    return facts.Transaction(
        transaction_id=item.transaction_id,
        type=_TYPE_NAMES.get(item.type, ""),
        state=_STATE_NAMES.get(item.state, ""),
        source=item.source,
        destination=item.destination,
        reference=item.reference,
        opaque=item.opaque,
        postings=_postings(item.postings),
    )


def _postings(items: Iterable[pb.Posting]) -> tuple[facts.Posting, ...]:
    return tuple(
        facts.Posting(
            source=item.source,
            destination=item.destination,
            currency_code=item.currency_code,
            amount_minor=item.amount_minor,
            source_posted_after=item.source_posted_after,
            source_version=item.source_version,
            destination_posted_after=item.destination_posted_after,
            destination_version=item.destination_version,
        )
        for item in items
    )


def _change(item: pb.WalletChange) -> facts.Change:
    return facts.Change(
        type=_CHANGES[item.kind],
        wallet_id=item.wallet_id,
        version=item.version,
        status=_STATUS_NAMES.get(item.status, ""),
        account_id=item.account_id,
        currency_code=item.currency_code,
        opaque=item.opaque,
    )
