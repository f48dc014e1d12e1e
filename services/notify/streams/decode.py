"""Read a record's bytes: its version at once, its facts where somebody asks for them."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from google.protobuf.message import DecodeError

from guilder.events.v1 import record_pb2 as pb
from notify.domain import facts
from notify.domain.facts import EventType
from walletkit.errors import ServiceError
from walletkit.payload import PayloadError, unpack
from walletkit.record import RECORD_VERSION
from walletkit.trace import Span

_NO_PAYEES: Mapping[int, bytes] = MappingProxyType({})
# Field 1, a varint; serializers write fields in the order of their numbers, so a record begins with
# it.
_USUAL_START = bytes((0x08, RECORD_VERSION))

# Event type, and what an update has set.
_CHANGES = {
    pb.WALLET_CHANGE_KIND_CREATED: (EventType.WALLET_CREATED, ""),
    pb.WALLET_CHANGE_KIND_FROZEN: (EventType.WALLET_FROZEN, ""),
    pb.WALLET_CHANGE_KIND_UNFROZEN: (EventType.WALLET_UNFROZEN, ""),
    pb.WALLET_CHANGE_KIND_CLOSED: (EventType.WALLET_CLOSED, ""),
    pb.WALLET_CHANGE_KIND_UPDATED: (EventType.WALLET_UPDATED, "metadata"),
    pb.WALLET_CHANGE_KIND_LIMITED: (EventType.WALLET_UPDATED, "limits"),
}
_HOLDS = {
    pb.HOLD_CHANGE_KIND_AUTHORIZED: EventType.HOLD_AUTHORIZED,
    pb.HOLD_CHANGE_KIND_INCREMENTED: EventType.HOLD_INCREMENTED,
    pb.HOLD_CHANGE_KIND_EXTENDED: EventType.HOLD_EXTENDED,
    pb.HOLD_CHANGE_KIND_CAPTURED: EventType.HOLD_CAPTURED,
    pb.HOLD_CHANGE_KIND_VOIDED: EventType.HOLD_VOIDED,
    pb.HOLD_CHANGE_KIND_EXPIRED: EventType.HOLD_EXPIRED,
}
# A value of 0 is never sent, or says that there is none: both show as nothing.
_TYPE_NAMES = {value: name for name, value in pb.TransactionType.items() if value}
_STATE_NAMES = {value: name for name, value in pb.TransactionState.items() if value}
_STATUS_NAMES = {value: name for name, value in pb.WalletStatus.items() if value}
_FREEZE_NAMES = {value: name for name, value in pb.AccountFreeze.items() if value}
_HOLD_STATE_NAMES = {value: name for name, value in pb.HoldState.items() if value}


def check_version(shard: int, seq: int, payload: bytes) -> None:
    """Raise RECORD_VERSION_UNKNOWN unless this program knows the record's format."""
    try:
        record = unpack(payload)
        if record.startswith(_USUAL_START):
            return
        version = pb.Record.FromString(record).version
    except (DecodeError, PayloadError):
        version = 0
    if version != RECORD_VERSION:
        metadata = {"shard": str(shard), "seq": str(seq), "version": str(version)}
        message = f"record {seq} of shard {shard} has version {version}"
        raise ServiceError("RECORD_VERSION_UNKNOWN", message, metadata)


def decode(shard: int, seq: int, content: bytes) -> facts.Facts:
    """Read all facts that make events, from an unpacked record."""
    record = pb.Record.FromString(content)
    return facts.Facts(
        shard=shard,
        seq=seq,
        time_us=record.time_us,
        transactions=tuple(_transaction(item) for item in record.transactions),
        legs=_legs(record),
        # A kind that this program does not know tells nothing that it could say.
        changes=tuple(_change(item) for item in record.wallet_changes if item.kind in _CHANGES),
        holds=tuple(_hold(item) for item in record.hold_changes if item.kind in _HOLDS),
        followers={
            ref: Span(item.trace_id, item.span_id) for item in record.traces for ref in item.refs
        },
    )


def time_us(content: bytes) -> int:
    """Return when an unpacked record was committed."""
    return pb.Record.FromString(content).time_us


def _legs(record: pb.Record) -> tuple[facts.Leg, ...]:
    if not record.landed_legs:
        return ()
    # What a return ends it ends in its own record: it lands on the transaction's home.
    closed = (item for item in record.closed_intents if item.state)
    states = {item.transaction_id: _STATE_NAMES.get(item.state, "") for item in closed}
    return tuple(
        facts.Leg(
            transaction_id=item.transaction_id,
            leg=item.leg,
            state=states.get(item.transaction_id, ""),
            postings=_postings(item.postings),
        )
        for item in record.landed_legs
    )


def _transaction(item: pb.Transaction) -> facts.Transaction:
    payees = {intent.leg: intent.destination for intent in item.intents}
    return facts.Transaction(
        transaction_id=item.transaction_id,
        type=_TYPE_NAMES.get(item.type, ""),
        state=_STATE_NAMES.get(item.state, ""),
        parent_id=item.parent_id,
        family_id=item.family_id,
        effective_time_us=item.effective_time_us,
        reference=item.reference,
        opaque=item.opaque,
        postings=_postings(item.postings, payees),
    )


def _postings(
    items: Iterable[pb.Posting], payees: Mapping[int, bytes] = _NO_PAYEES
) -> tuple[facts.Posting, ...]:
    """Read postings; ``payees`` are the destinations on other shards, by the posting's index."""
    return tuple(
        facts.Posting(
            source=item.source,
            destination=item.destination,
            payee=payees.get(n, item.destination),
            currency_code=item.currency_code,
            amount_minor=item.amount_minor,
            source_posted_after=item.source_posted_after,
            source_version=item.source_version,
            destination_posted_after=item.destination_posted_after,
            destination_version=item.destination_version,
        )
        for n, item in enumerate(items)
    )


def _change(item: pb.WalletChange) -> facts.Change:
    kind, changed = _CHANGES[item.kind]
    return facts.Change(
        type=kind,
        changed=changed,
        wallet_id=item.wallet_id,
        version=item.version,
        account_id=item.account_id,
        alias=item.alias,
        currency_code=item.currency_code,
        opaque=item.opaque,
        status=_STATUS_NAMES.get(item.status, ""),
        previous_status=_STATUS_NAMES.get(item.previous_status, ""),
        account_freeze=_FREEZE_NAMES.get(item.account_freeze, ""),
        previous_account_freeze=_FREEZE_NAMES.get(item.previous_account_freeze, ""),
        overdraft_limit_minor=item.overdraft_limit_minor,
        previous_overdraft_limit_minor=item.previous_overdraft_limit_minor,
    )


def _hold(item: pb.HoldChange) -> facts.HoldChange:
    return facts.HoldChange(
        type=_HOLDS[item.kind],
        hold_id=item.hold_id,
        wallet_id=item.wallet_id,
        wallet_version=item.wallet_version,
        state=_HOLD_STATE_NAMES.get(item.state, ""),
        currency_code=item.currency_code,
        authorized_minor=item.authorized_minor,
        captured_minor=item.captured_minor,
        released_minor=item.released_minor,
        held_after_minor=item.held_after_minor,
        expire_time_us=item.expire_time_us,
        destination=item.destination,
        transaction_id=item.transaction_id,
        reference=item.reference,
        opaque=item.opaque,
    )
