"""Encode a batch as the record that the outbox keeps.

Its bytes are what is hashed, stored and sent.
"""

from guilder.events.v1 import record_pb2 as pb
from wallet.domain.batch import (
    AccountChange,
    Batch,
    HoldChange,
    NewLeg,
    NewTransaction,
    Posting,
    WalletChange,
)
from wallet.domain.commands import Intent
from wallet.domain.kinds import HoldChangeKind, WalletChangeKind
from walletkit.ids import NIL
from walletkit.record import RECORD_VERSION


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
        hold_changes=[_hold_change(change) for change in changes.hold_changes],
        account_changes=[_account_change(change) for change in changes.accounts],
        asset_registrations=[
            pb.AssetRegistration(currency_code=new.currency, exponent=new.exponent)
            for new in changes.assets
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
        parent_id=command.parent,
        family_id=command.family,
        effective_time_us=command.effective_us,
    )


def _leg(leg: NewLeg) -> pb.LandedLeg:
    return pb.LandedLeg(
        transaction_id=leg.intent.tx_id,
        leg=leg.intent.leg,
        result=leg.result.value,  # type: ignore[arg-type]
        postings=[_posting(posting) for posting in leg.postings],
        intents=(_intent(leg.returned),) if leg.returned is not None else (),
        effective_time_us=leg.intent.effective_us,
    )


def _wallet_change(change: WalletChange) -> pb.WalletChange:
    facts = change.facts
    created = change.kind == WalletChangeKind.CREATED
    told = created or change.kind == WalletChangeKind.UPDATED
    return pb.WalletChange(
        kind=change.kind.value,  # type: ignore[arg-type]
        wallet_id=facts.wallet_id,
        version=change.version,
        status=change.status.value,  # type: ignore[arg-type]
        account_id=facts.account_id if created else "",
        currency_code=facts.currency if created else "",
        opaque=facts.opaque if told else b"",
        alias=facts.alias if created else "",
        account_freeze=change.account_freeze.value,  # type: ignore[arg-type]
        overdraft_limit_minor=change.overdraft_limit,
        limits=change.limits,
        previous_status=change.previous_status or 0,  # type: ignore[arg-type]
        previous_account_freeze=change.previous_account_freeze.value,  # type: ignore[arg-type]
        previous_overdraft_limit_minor=change.previous_overdraft_limit,
    )


def _hold_change(change: HoldChange) -> pb.HoldChange:
    hold = change.hold
    made = change.kind == HoldChangeKind.AUTHORIZED
    return pb.HoldChange(
        kind=change.kind.value,  # type: ignore[arg-type]
        hold_id=hold.hold_id,
        wallet_id=hold.wallet_id,
        wallet_version=change.wallet_version,
        held_after_minor=change.held_after,
        currency_code=hold.currency,
        state=hold.state.value,  # type: ignore[arg-type]
        authorized_minor=hold.authorized,
        captured_minor=hold.captured,
        released_minor=hold.released,
        expire_time_us=hold.expire_time_us,
        destination=hold.destination if made and hold.destination != NIL else b"",
        transaction_id=change.tx_id,
        reference=hold.reference if made else b"",
        opaque=hold.opaque if made else b"",
    )


def _account_change(change: AccountChange) -> pb.AccountChange:
    return pb.AccountChange(
        account_id=change.account_id,
        freeze=change.freeze.value,  # type: ignore[arg-type]
        currency_code=change.currency,
        limits=change.limits,
    )
