"""Encode a batch as the record that the outbox keeps.

Its bytes are what is hashed, stored and sent.
"""

from guilder.events.v1 import record_pb2 as pb
from wallet.domain.batch import Batch, NewLeg, NewTransaction, Posting, WalletChange
from wallet.domain.commands import Intent
from wallet.domain.kinds import WalletChangeKind

RECORD_VERSION = 1


def encode_record(batch: Batch) -> bytes:
    """Return the serialized Record of everything that the batch changes."""
    changes = batch.changes
    record = pb.Record(
        version=RECORD_VERSION,
        shard=batch.shard,
        time_us=batch.now_us,
        transactions=[_transaction(new) for new in changes.transactions],
        landed_legs=[_leg(leg) for leg in changes.legs],
        closed_intents=[
            pb.ClosedIntent(transaction_id=c.tx_id, leg=c.leg, state=c.state or 0)  # type: ignore[arg-type]
            for c in changes.closed
        ],
        wallet_changes=[_wallet_change(change) for change in changes.wallets],
        keys=[
            pb.Key(
                key_hash=command.key_hash,
                ref=command.ref,
                fingerprint=command.fingerprint,
                outcome=outcome,
            )
            for command, outcome in changes.keys
        ],
    )
    return record.SerializeToString()


def _posting(posting: Posting) -> pb.Posting:
    return pb.Posting(
        source=posting.source,
        destination=posting.destination,
        currency_code=posting.currency,
        amount_minor=posting.amount,
        source_posted_after=posting.source_posted,
        source_version=posting.source_version,
        destination_posted_after=posting.destination_posted,
        destination_version=posting.destination_version,
    )


def _intent(intent: Intent) -> pb.Intent:
    return pb.Intent(
        leg=intent.leg,
        destination=intent.destination,
        currency_code=intent.currency,
        amount_minor=intent.amount,
    )


def _transaction(new: NewTransaction) -> pb.Transaction:
    command = new.command
    return pb.Transaction(
        transaction_id=command.ref,
        type=command.type.value,  # type: ignore[arg-type]  # same numbers, by design
        state=new.state.value,  # type: ignore[arg-type]
        source=new.source,
        destination=new.destination,
        postings=map(_posting, new.postings),
        intents=map(_intent, new.intents),
        reference=command.reference,
        opaque=command.opaque,
    )


def _leg(leg: NewLeg) -> pb.LandedLeg:
    return pb.LandedLeg(
        transaction_id=leg.intent.tx_id,
        leg=leg.intent.leg,
        result=leg.result.value,  # type: ignore[arg-type]
        postings=[_posting(posting) for posting in leg.postings],
        intents=(_intent(leg.returned),) if leg.returned is not None else (),
    )


def _wallet_change(change: WalletChange) -> pb.WalletChange:
    created = change.kind == WalletChangeKind.CREATED
    return pb.WalletChange(
        kind=change.kind.value,  # type: ignore[arg-type]
        wallet_id=change.facts.wallet_id,
        version=change.version,
        status=change.status.value,  # type: ignore[arg-type]
        account_id=change.facts.account_id if created else "",
        currency_code=change.facts.currency if created else "",
        opaque=change.facts.opaque if created else b"",
    )
