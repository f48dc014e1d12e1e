"""Read transfers, deposits and withdrawals: the hot path."""

from guilder.wallet.v1 import wallet_service_pb2 as pb
from wallet.api import fields
from wallet.api.form import Form
from wallet.domain import idempotency
from wallet.domain.commands import Transfer as TransferCommand
from wallet.domain.kinds import ANY_VERSION, TransactionType
from walletkit.ids import NIL, new_id, slot_of

Movement = pb.TransferRequest | pb.DepositRequest | pb.WithdrawRequest


def transfer(request: pb.TransferRequest, form: Form) -> TransferCommand:
    """Read a transfer. Raise ``ServiceError`` for malformed fields."""
    source = form.own("source_wallet_id", request.source_wallet_id)
    destination = form.wallet("destination_wallet_id", request.destination_wallet_id)
    if source == destination:
        form.read(fields.not_same, source, request.destination_wallet_id, destination)
    return _movement(TransactionType.TRANSFER, source, destination, source, request, form)


def deposit(request: pb.DepositRequest, form: Form) -> TransferCommand:
    """Read a deposit. Raise ``ServiceError`` for malformed fields."""
    wallet = form.funded("wallet_id", request.wallet_id)
    return _movement(TransactionType.DEPOSIT, NIL, wallet, wallet, request, form)


def withdrawal(request: pb.WithdrawRequest, form: Form) -> TransferCommand:
    """Read a withdrawal. Raise ``ServiceError`` for malformed fields."""
    wallet = form.own("wallet_id", request.wallet_id)
    return _movement(TransactionType.WITHDRAWAL, wallet, NIL, wallet, request, form)


def _movement(
    type_: TransactionType,
    source: bytes,
    destination: bytes,
    scope: bytes,
    request: Movement,
    form: Form,
) -> TransferCommand:
    key = form.key(request.idempotency_key)
    # Each look at a message costs as much as a call, and so does a check of what is not there.
    money = request.amount
    amount = form.read(fields.amount_minor, money)
    currency = form.currency("amount.currency_code", money.currency_code)
    reference = opaque = b""
    if text := request.reference:
        reference = form.read(fields.reference, text)
    effective_us = 0
    if request.HasField("effective_time"):
        effective_us = form.read(fields.effective_time, request.effective_time)
    description, metadata = request.description, request.metadata
    if description or metadata or effective_us:
        opaque = form.read(fields.opaque, description, metadata, effective_us)
    expected = ANY_VERSION
    if request.HasField("expected_version"):
        expected = form.read(fields.version, request.expected_version)
    form.done()
    slot = slot_of(scope)
    return TransferCommand(
        new_id(slot),
        slot,
        type_,
        source,
        destination,
        currency,
        amount,
        reference,
        opaque,
        expected,
        idempotency.key_hash(form.client, scope, key),
        idempotency.transfer_fingerprint(
            type_, source, destination, currency, amount, expected, reference, opaque
        ),
        effective_us,
    )
