"""Read what is done to holds.

A hold's wallet is the scope of every key, so the hold is known before its key can be: a hold that
does not exist is NOT_FOUND before idempotency is looked at.
"""

from guilder.wallet.v1 import holds_pb2 as pb
from wallet.api import fields
from wallet.api.form import Form
from wallet.domain import idempotency
from wallet.domain.commands import Authorize, CaptureHold, ExtendHold, IncrementHold, VoidHold
from walletkit.errors import invalid_field
from walletkit.ids import new_id, slot_of


def authorize(request: pb.AuthorizeRequest, form: Form) -> Authorize:
    """Read an authorization. Raise ``ServiceError`` for malformed fields."""
    wallet_id = form.own("wallet_id", request.wallet_id)
    destination = form.optional_wallet("destination_wallet_id", request.destination_wallet_id)
    form.read(fields.not_same, wallet_id, request.destination_wallet_id, destination)
    key = form.key(request.idempotency_key)
    currency, amount = form.money("amount", request.amount)
    expire_time_us = 0
    if request.HasField("expire_time"):
        expire_time_us = form.read(fields.moment, "expire_time", request.expire_time)
    reference = form.read(fields.reference, request.reference)
    opaque = form.read(fields.opaque, request.description, request.metadata)
    expected = form.version(request)
    form.done()
    slot = slot_of(wallet_id)
    return Authorize(
        new_id(slot),
        slot,
        wallet_id,
        destination,
        currency,
        amount,
        expire_time_us,
        reference,
        opaque,
        expected,
        idempotency.key_hash(form.client, wallet_id, key),
        idempotency.authorize_fingerprint(
            wallet_id, destination, currency, amount, expire_time_us, expected, reference, opaque
        ),
    )


def increment(request: pb.IncrementHoldRequest, form: Form) -> IncrementHold:
    """Read an increment. Raise ``ServiceError`` for malformed fields."""
    hold_id, facts = form.hold(request.hold_id)
    key = form.key(request.idempotency_key)
    currency, amount = form.money("amount", request.amount)
    expected = form.version(request)
    form.done()
    slot = slot_of(facts.wallet_id)
    return IncrementHold(
        new_id(slot),
        slot,
        hold_id,
        facts.wallet_id,
        currency,
        amount,
        expected,
        idempotency.key_hash(form.client, facts.wallet_id, key),
        idempotency.increment_fingerprint(hold_id, currency, amount, expected),
    )


def extend(request: pb.ExtendHoldRequest, form: Form) -> ExtendHold:
    """Read an extension. Raise ``ServiceError`` for malformed fields."""
    hold_id, facts = form.hold(request.hold_id)
    key = form.key(request.idempotency_key)
    if not request.HasField("expire_time"):
        form.refuse(invalid_field("expire_time", None, "must be given"))
    expire_time_us = form.read(fields.moment, "expire_time", request.expire_time)
    expected = form.version(request)
    form.done()
    slot = slot_of(facts.wallet_id)
    return ExtendHold(
        new_id(slot),
        slot,
        hold_id,
        facts.wallet_id,
        expire_time_us,
        expected,
        idempotency.key_hash(form.client, facts.wallet_id, key),
        idempotency.extend_fingerprint(hold_id, expire_time_us, expected),
    )


def capture(request: pb.CaptureHoldRequest, form: Form) -> CaptureHold:
    """Read a capture: without a reference it carries the hold's, without an amount it takes all.

    Raise ``ServiceError`` for malformed fields.
    """
    hold_id, facts = form.hold(request.hold_id)
    key = form.key(request.idempotency_key)
    currency, amount = "", 0
    if request.HasField("amount"):
        currency, amount = form.money("amount", request.amount)
    named = form.optional_wallet("destination_wallet_id", request.destination_wallet_id)
    reference = form.read(fields.reference, request.reference)
    effective_us = 0
    if request.HasField("effective_time"):
        effective_us = form.read(fields.effective_time, request.effective_time)
    opaque = form.read(fields.opaque, request.description, request.metadata, effective_us)
    expected = form.version(request)
    form.done()
    fields.not_same(facts.wallet_id, request.destination_wallet_id, named)
    slot = slot_of(facts.wallet_id)
    # Another one than the hold's own is the domain's to refuse: it is a decline with a key.
    destination = named if request.destination_wallet_id else facts.destination
    currency, reference = currency or facts.currency, reference or facts.reference
    return CaptureHold(
        new_id(slot),
        slot,
        hold_id,
        facts.wallet_id,
        destination,
        currency,
        amount,
        request.final,
        reference,
        opaque,
        expected,
        idempotency.key_hash(form.client, facts.wallet_id, key),
        idempotency.capture_fingerprint(
            hold_id,
            destination,
            currency,
            amount,
            expected,
            reference,
            opaque,
            final=request.final,
        ),
        effective_us,
    )


def void(request: pb.VoidHoldRequest, form: Form) -> VoidHold:
    """Read a void. Raise ``ServiceError`` for malformed fields."""
    hold_id, facts = form.hold(request.hold_id)
    key = form.key(request.idempotency_key)
    expected = form.version(request)
    form.done()
    slot = slot_of(facts.wallet_id)
    return VoidHold(
        new_id(slot),
        slot,
        hold_id,
        facts.wallet_id,
        expected,
        idempotency.key_hash(form.client, facts.wallet_id, key),
        idempotency.void_fingerprint(hold_id, expected),
    )
