"""Read a record's stored bytes into what the domain sees.

The bytes are never written again, only kept.
"""

from collections.abc import Iterable

from google.protobuf.message import DecodeError

from guilder.events.v1 import record_pb2 as events
from ledger.domain.label import labels_of
from ledger.domain.record import (
    CAPTURE,
    Change,
    HoldChange,
    Label,
    Leg,
    Posting,
    Record,
    Result,
    Side,
)
from ledger.store.audit_codec import audit_events
from walletkit.ids import NIL, SystemKind
from walletkit.payload import PayloadError, unpack
from walletkit.record import RECORD_VERSION
from walletkit.trace import Span

_ID_LENGTH = len(NIL)
_TRANSIT = bytes((0, SystemKind.TRANSIT))
_RESULTS: frozenset[int] = frozenset(Result)
_MAX_TYPE = 255
"""A column holds no more. A type that this program does not know is only kept."""


class UnknownVersionError(Exception):
    """The record's format is not one that this program knows; ``args[0]`` is the version."""


class MalformedRecordError(Exception):
    """The bytes are no record that a shard may write."""


def parse(payload: bytes) -> events.Record:
    """Return the message. Raise ``MalformedRecordError`` or ``UnknownVersionError``."""
    try:
        message = events.Record.FromString(unpack(payload))
    except PayloadError as error:
        raise MalformedRecordError(str(error)) from error
    except DecodeError as error:
        raise MalformedRecordError("not a Record") from error
    if message.version != RECORD_VERSION:
        raise UnknownVersionError(message.version)
    return message


def decode(payload: bytes) -> Record:
    """Return the record. Raise ``MalformedRecordError`` or ``UnknownVersionError``.

    Once for each record that comes in: the fields are read straight into tuples.
    """
    message = parse(payload)
    record = Record(
        shard=message.shard,
        time_us=message.time_us,
        transactions=len(message.transactions),
        postings=[],
        changes=[_change(change) for change in message.wallet_changes],
        legs=[],
        states=[],
        holds=[_hold_change(change) for change in message.hold_changes],
        captures={},
        effective={},
        labels=[],
        assets=[(new.currency_code, new.exponent) for new in message.asset_registrations],
        followers=tuple([Span(followed.trace_id, followed.span_id) for followed in message.traces]),
    )
    for n, transaction in enumerate(message.transactions):
        _add_transaction(record, n, transaction)
    for n, landed in enumerate(message.landed_legs, 1):
        _add_landed(record, -n, landed)
    for n, closed in enumerate(message.closed_intents):
        tx_id, state = closed.transaction_id, closed.state
        record.legs.append(Leg(tx_id, closed.leg, Side.CLOSED, n))
        if state:
            record.states.append((tx_id, state))
    if message.audit_events:
        _add_audit_events(record, message)
    _check_ids(record)
    return record


def _add_transaction(record: Record, n: int, transaction: events.Transaction) -> None:
    """Read one transaction; what few of them have costs the others a look each."""
    tx_id, kind = transaction.transaction_id, transaction.type
    if not 0 <= kind <= _MAX_TYPE:
        raise MalformedRecordError(f"no transaction has type {kind}")
    _add_postings(record.postings, transaction.postings, n, tx_id, kind)
    if intents := transaction.intents:
        _add_sent(record, n, tx_id, intents)
    reference, opaque, family = transaction.reference, transaction.opaque, transaction.family_id
    if reference or opaque or family:
        labels = labels_of(reference, opaque, family)
        record.labels.extend([Label(label, n, tx_id) for label in labels])
    if effective_us := transaction.effective_time_us:
        record.effective[n] = effective_us
    if kind == CAPTURE:
        record.captures[tx_id] = transaction.parent_id


def _add_audit_events(record: Record, message: events.Record) -> None:
    try:
        record.audit_events.extend(audit_events(message, record.postings))
    except ValueError as error:
        raise MalformedRecordError(str(error)) from error


def _add_postings(
    postings: list[Posting], messages: Iterable[events.Posting], n: int, tx_id: bytes, kind: int
) -> None:
    for number, posting in enumerate(messages):
        postings.append(
            (
                n,
                number,
                tx_id,
                posting.source,
                posting.destination,
                posting.currency_code,
                posting.amount_minor,
                posting.source_posted_after,
                posting.source_version,
                posting.destination_posted_after,
                posting.destination_version,
                kind,
            )
        )


def _add_sent(record: Record, n: int, tx_id: bytes, intents: Iterable[events.Intent]) -> None:
    for intent in intents:
        currency, amount = intent.currency_code, intent.amount_minor
        leg = Leg(tx_id, intent.leg, Side.SENT, n, currency, amount, intent.destination)
        record.legs.append(leg)


def _add_landed(record: Record, n: int, landed: events.LandedLeg) -> None:
    """Read a landing.

    Its first posting takes the amount out of `transit`, to the wallet or to `suspense`.
    """
    tx_id, before = landed.transaction_id, len(record.postings)
    _add_postings(record.postings, landed.postings, n, tx_id, 0)
    first = record.postings[before] if len(record.postings) > before else None
    if first is None or not first[3].startswith(_TRANSIT):
        raise MalformedRecordError("a landed leg takes its amount out of `transit`")
    if (result := landed.result) not in _RESULTS:
        raise MalformedRecordError(f"no leg has result {result}")
    _, _, _, _, destination, currency, amount, *_ = first
    leg = Leg(tx_id, landed.leg, Side.LANDED, n, currency, amount, destination, result)
    record.legs.append(leg)
    if intents := landed.intents:
        _add_sent(record, n, tx_id, intents)
    if effective_us := landed.effective_time_us:
        record.effective[n] = effective_us


def _change(change: events.WalletChange) -> Change:
    return Change(
        *(change.kind, change.wallet_id, change.version, change.status),
        *(change.account_id, change.currency_code),
        *(change.account_freeze, change.overdraft_limit_minor),
        *(change.previous_status, change.previous_account_freeze),
        change.previous_overdraft_limit_minor,
    )


def _hold_change(change: events.HoldChange) -> HoldChange:
    return HoldChange(
        *(change.kind, change.hold_id, change.wallet_id, change.wallet_version),
        *(change.held_after_minor, change.currency_code, change.state),
        *(change.authorized_minor, change.captured_minor, change.released_minor),
        *(change.expire_time_us, change.transaction_id),
    )


def _check_ids(record: Record) -> None:
    """Raise ``MalformedRecordError`` for an id that is not 16 bytes.

    A column would pad it silently.
    """
    # Each id once: most are in several places.
    ids = {posting[2] for posting in record.postings}
    ids.update([posting[3] for posting in record.postings])
    ids.update([posting[4] for posting in record.postings])
    ids.update([leg.tx_id for leg in record.legs])
    ids.update([leg.destination for leg in record.legs])
    ids.update([change.wallet_id for change in record.changes])
    ids.update([label.tx_id for label in record.labels])
    for held in record.holds:
        ids.add(held.hold_id)
        ids.add(held.wallet_id)
    if set(map(len, ids)) - {_ID_LENGTH}:
        raise MalformedRecordError("an id is not 16 bytes")
