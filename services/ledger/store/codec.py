"""Read a record's stored bytes into what the domain sees.

The bytes are never written again, only kept.
"""

from collections.abc import Iterable

from google.protobuf.message import DecodeError

from guilder.events.v1 import record_pb2 as events
from ledger.domain.record import VERSION, Change, Leg, Posting, Record, Result, Side
from walletkit.ids import NIL, SystemKind

_ID_LENGTH = len(NIL)
_TRANSIT = bytes((0, SystemKind.TRANSIT))


class UnknownVersionError(Exception):
    """The record's format is not one that this program knows; ``args[0]`` is the version."""


class MalformedRecordError(Exception):
    """The bytes are no record that a shard may write."""


def parse(payload: bytes) -> events.Record:
    """Return the message. Raise ``MalformedRecordError`` or ``UnknownVersionError``."""
    try:
        message = events.Record.FromString(payload)
    except DecodeError as error:
        raise MalformedRecordError("not a Record") from error
    if message.version != VERSION:
        raise UnknownVersionError(message.version)
    return message


def decode(payload: bytes) -> Record:
    """Return the record. Raise ``MalformedRecordError`` or ``UnknownVersionError``.

    Once for each record that comes in: the fields are read straight into tuples.
    """
    message = parse(payload)
    postings: list[Posting] = []
    legs: list[Leg] = []
    for n, transaction in enumerate(message.transactions):
        tx_id = transaction.transaction_id
        _add_postings(postings, transaction.postings, n, tx_id)
        if transaction.intents:
            legs += _sent(transaction.intents, n, tx_id)
    for n, landed in enumerate(message.landed_legs, 1):
        _add_postings(postings, landed.postings, -n, landed.transaction_id)
        legs.append(_landed(landed, -n))
        legs += _sent(landed.intents, -n, landed.transaction_id)
    legs += [
        Leg(closed.transaction_id, closed.leg, Side.CLOSED, n)
        for n, closed in enumerate(message.closed_intents)
    ]
    record = Record(
        shard=message.shard,
        time_us=message.time_us,
        transactions=len(message.transactions),
        postings=postings,
        changes=[_change(change) for change in message.wallet_changes],
        legs=legs,
        states=[
            (closed.transaction_id, closed.state)
            for closed in message.closed_intents
            if closed.state
        ],
    )
    _check_ids(record)
    return record


def _add_postings(
    postings: list[Posting], messages: Iterable[events.Posting], n: int, tx_id: bytes
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
            )
        )


def _sent(intents: Iterable[events.Intent], n: int, tx_id: bytes) -> list[Leg]:
    return [
        Leg(
            *(tx_id, intent.leg, Side.SENT, n),
            *(intent.currency_code, intent.amount_minor, intent.destination),
        )
        for intent in intents
    ]


def _landed(landed: events.LandedLeg, n: int) -> Leg:
    """Read a landing.

    Its first posting takes the amount out of `transit`, to the wallet or to `suspense`.
    """
    if not landed.postings or not landed.postings[0].source.startswith(_TRANSIT):
        raise MalformedRecordError("a landed leg takes its amount out of `transit`")
    first = landed.postings[0]
    return Leg(
        *(landed.transaction_id, landed.leg, Side.LANDED, n),
        *(first.currency_code, first.amount_minor, first.destination, Result(landed.result)),
    )


def _change(change: events.WalletChange) -> Change:
    return Change(
        change.wallet_id,
        change.version,
        change.status,
        change.kind == events.WALLET_CHANGE_KIND_CREATED,
        change.account_id,
        change.currency_code,
    )


def _check_ids(record: Record) -> None:
    """Raise ``MalformedRecordError`` for an id that is not 16 bytes.

    A column would pad it silently.
    """
    ids = {len(leg.tx_id) for leg in record.legs} | {len(leg.destination) for leg in record.legs}
    ids |= {len(change.wallet_id) for change in record.changes}
    for posting in record.postings:
        ids.add(len(posting[2]))
        ids.add(len(posting[3]))
        ids.add(len(posting[4]))
    if ids - {_ID_LENGTH}:
        raise MalformedRecordError("an id is not 16 bytes")
