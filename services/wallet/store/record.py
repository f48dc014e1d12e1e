"""Encode a batch as the record that the outbox keeps.

Packed, its bytes are what is hashed, stored and sent: `walletkit.payload`.
"""

from guilder.events.v1 import record_pb2 as pb
from wallet.domain.audit import AuditEvent
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
    """Return the serialized Record of everything that the batch changes.

    What nearly every batch has is written in its place: that costs half of making and copying it.
    """
    changes = batch.changes
    record = pb.Record(
        version=RECORD_VERSION,
        shard=batch.shard,
        time_us=batch.now_us,
        closed_intents=[
            pb.ClosedIntent(transaction_id=c.tx_id, leg=c.leg, state=c.state or 0)  # type: ignore[arg-type]
            for c in changes.closed
        ],
        wallet_changes=[_wallet_change(change) for change in changes.wallets],
        hold_changes=[_hold_change(change) for change in changes.hold_changes],
        account_changes=[_account_change(change) for change in changes.accounts],
        asset_registrations=[
            pb.AssetRegistration(currency_code=new.currency, exponent=new.exponent)
            for new in changes.assets
        ],
        audit_events=[_audit_event(event) for event in changes.audit_events],
        traces=[
            pb.Trace(trace_id=span.trace_id, span_id=span.span_id, refs=refs)
            for span, refs in batch.traces
        ],
    )
    for new in changes.transactions:
        _fill_transaction(record.transactions.add(), new)
    for leg in changes.legs:
        _fill_leg(record.landed_legs.add(), leg)
    for command, _, kept in changes.keys:
        key = record.keys.add()
        key.key_hash = command.key_hash
        key.ref = command.ref
        key.fingerprint = command.fingerprint
        key.outcome = kept
    return record.SerializeToString()


def _fill_posting(message: pb.Posting, posting: Posting) -> None:
    (
        message.source,
        message.destination,
        message.currency_code,
        message.amount_minor,
        message.source_posted_after,
        message.source_version,
        message.destination_posted_after,
        message.destination_version,
    ) = posting


def _fill_intent(message: pb.Intent, intent: Intent) -> None:
    message.leg = intent.leg
    message.destination = intent.destination
    message.currency_code = intent.currency
    message.amount_minor = intent.amount


def _fill_transaction(message: pb.Transaction, new: NewTransaction) -> None:
    command = new.command
    message.transaction_id = command.ref
    message.type = command.type  # type: ignore[assignment]  # same numbers, by design
    message.state = new.state  # type: ignore[assignment]
    message.source = new.source
    message.destination = new.destination
    for posting in new.postings:
        _fill_posting(message.postings.add(), posting)
    for intent in new.intents:
        _fill_intent(message.intents.add(), intent)
    if command.reference:
        message.reference = command.reference
    if command.opaque:
        message.opaque = command.opaque
    if command.parent:
        message.parent_id = command.parent
        message.family_id = command.family
    if command.effective_us:
        message.effective_time_us = command.effective_us


def _fill_leg(message: pb.LandedLeg, leg: NewLeg) -> None:
    message.transaction_id = leg.intent.tx_id
    message.leg = leg.intent.leg
    message.result = leg.result  # type: ignore[assignment]
    for posting in leg.postings:
        _fill_posting(message.postings.add(), posting)
    if leg.returned is not None:
        _fill_intent(message.intents.add(), leg.returned)
    if leg.intent.effective_us:
        message.effective_time_us = leg.intent.effective_us


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


def _audit_event(event: AuditEvent) -> pb.AuditEvent:
    return pb.AuditEvent(
        action=event.action.value,  # type: ignore[arg-type]
        place=event.place,
        actor=event.cause.actor,
        reason=event.cause.reason,
        request_id=event.cause.request_id,
        previous_limits=event.previous_limits,
        previous_account_freeze=event.previous_freeze.value,  # type: ignore[arg-type]
        previous_reversed_minor=event.previous_reversed,
    )
