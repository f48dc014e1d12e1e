"""Translate between protobuf and the domain: requests to commands, outcomes to replies."""

from google.protobuf.timestamp_pb2 import Timestamp

from guilder.type.v1.money_pb2 import Money
from guilder.type.v1.position_pb2 import Position
from guilder.wallet.v1 import resources_pb2 as res
from guilder.wallet.v1 import wallet_service_pb2 as pb
from wallet.api import fields
from wallet.domain import idempotency
from wallet.domain.batch import Balance
from wallet.domain.commands import ChangeStatus, CreateWallet, Transfer
from wallet.domain.kinds import ANY_VERSION, TransactionType, WalletChangeKind, WalletStatus
from wallet.domain.outcome import BalanceAfter, Posted, WalletFacts, WalletSet
from wallet.store.queries import StoredTransaction
from walletkit.ids import NIL, format_id, is_system, new_id, slot_of, slot_of_account
from walletkit.money import EXPONENTS

CLIENT = b""
"""Id of the caller's credential in a key's scope: empty, as callers are trusted."""
_MICROS = 1_000_000


def transfer(request: pb.TransferRequest) -> Transfer:
    """Read a transfer. Raise ``ServiceError`` for malformed fields."""
    form = fields.Form()
    source = form.read(fields.wallet_id, "source_wallet_id", request.source_wallet_id)
    destination = form.read(
        fields.wallet_id, "destination_wallet_id", request.destination_wallet_id
    )
    form.read(fields.not_same, source, request.destination_wallet_id, destination)
    return _movement(TransactionType.TRANSFER, source, destination, source, request, form)


def deposit(request: pb.DepositRequest) -> Transfer:
    """Read a deposit. Raise ``ServiceError`` for malformed fields."""
    form = fields.Form()
    wallet = form.read(fields.wallet_id, "wallet_id", request.wallet_id)
    return _movement(TransactionType.DEPOSIT, NIL, wallet, wallet, request, form)


def withdrawal(request: pb.WithdrawRequest) -> Transfer:
    """Read a withdrawal. Raise ``ServiceError`` for malformed fields."""
    form = fields.Form()
    wallet = form.read(fields.wallet_id, "wallet_id", request.wallet_id)
    return _movement(TransactionType.WITHDRAWAL, wallet, NIL, wallet, request, form)


def _movement(
    type_: TransactionType,
    source: bytes,
    destination: bytes,
    scope: bytes,
    request: pb.TransferRequest | pb.DepositRequest | pb.WithdrawRequest,
    form: fields.Form,
) -> Transfer:
    key = form.read(fields.idempotency_key, request.idempotency_key)
    amount = form.read(fields.amount_minor, request.amount)
    code = request.amount.currency_code
    currency = form.read(fields.currency_code, "amount.currency_code", code)
    reference = form.read(fields.reference, request.reference)
    opaque = form.read(fields.opaque, request.description, request.metadata)
    expected = ANY_VERSION
    if request.HasField("expected_version"):
        expected = form.read(fields.version, request.expected_version)
    form.done()
    slot = slot_of(scope)
    return Transfer(
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
        idempotency.key_hash(CLIENT, scope, key),
        idempotency.transfer_fingerprint(
            type_, source, destination, currency, amount, expected, reference, opaque
        ),
    )


def create_wallet(request: pb.CreateWalletRequest) -> CreateWallet:
    """Read a wallet's creation. Raise ``ServiceError`` for malformed fields."""
    form = fields.Form()
    account_id = form.read(fields.account_id, request.account_id)
    currency = form.read(fields.currency_code, "currency_code", request.currency_code)
    key = form.read(fields.idempotency_key, request.idempotency_key)
    opaque = form.read(fields.opaque, "", request.metadata)
    form.done()
    slot = slot_of_account(account_id)
    return CreateWallet(
        new_id(slot),
        slot,
        account_id,
        currency,
        opaque,
        idempotency.key_hash(CLIENT, account_id.encode(), key),
        idempotency.create_fingerprint(account_id, currency, opaque),
    )


def change_status(
    kind: WalletChangeKind,
    request: pb.FreezeWalletRequest | pb.UnfreezeWalletRequest | pb.CloseWalletRequest,
) -> ChangeStatus:
    """Read a change of status. Raise ``ServiceError`` for malformed fields."""
    form = fields.Form()
    wallet = form.read(fields.wallet_id, "wallet_id", request.wallet_id)
    key = form.read(fields.idempotency_key, request.idempotency_key)
    form.done()
    slot = slot_of(wallet)
    return ChangeStatus(
        new_id(slot),
        slot,
        kind,
        wallet,
        idempotency.key_hash(CLIENT, wallet, key),
        idempotency.status_fingerprint(kind, wallet),
    )


def transfer_response(posted: Posted, position: Position) -> pb.TransferResponse:
    """Write the reply to a transfer."""
    command = posted.command
    response = pb.TransferResponse(
        transaction=posted_transaction(posted), replayed=posted.replayed, position=position
    )
    if posted.source_after is not None:
        _fill(response.source_balance, command.source, command.currency, posted.source_after)
    if posted.destination_after is not None:
        after = posted.destination_after
        _fill(response.destination_balance, command.destination, command.currency, after)
    return response


def posted_transaction(posted: Posted) -> res.Transaction:
    """Write the transaction that a command made."""
    command = posted.command
    stored = StoredTransaction(
        command.ref,
        command.type,
        posted.state,
        command.source,
        command.destination,
        command.currency,
        command.amount,
        posted.create_time_us,
        command.reference,
        command.opaque,
    )
    return transaction(stored)


def transaction(stored: StoredTransaction) -> res.Transaction:
    """Write a transaction; the outside has no wallet id."""
    message = res.Transaction(
        transaction_id=format_id(stored.tx_id),
        type=stored.type.value,  # type: ignore[arg-type]  # same numbers, by design
        state=stored.state.value,  # type: ignore[arg-type]
        source_wallet_id=_outside(stored.source),
        destination_wallet_id=_outside(stored.destination),
        amount=Money(currency_code=stored.currency, amount_minor=stored.amount),
        reference=stored.reference.decode(),
        create_time=timestamp(stored.create_time_us),
    )
    if stored.opaque:
        description, metadata = fields.read_opaque(stored.opaque)
        message.description = description
        message.metadata.update(metadata)
    return message


def wallet(facts: WalletFacts, status: WalletStatus) -> res.Wallet:
    """Write a wallet."""
    _, metadata = fields.read_opaque(facts.opaque)
    return res.Wallet(
        wallet_id=format_id(facts.wallet_id),
        account_id=facts.account_id,
        currency_code=facts.currency,
        status=status.value,  # type: ignore[arg-type]  # same numbers, by design
        metadata=metadata,
        create_time=timestamp(facts.create_time_us),
    )


def wallet_set(outcome: WalletSet) -> tuple[res.Wallet, res.Balance]:
    """Write the wallet and the balance of a creation or change of status."""
    facts = outcome.facts
    balance = res.Balance()
    _fill(balance, facts.wallet_id, facts.currency, outcome.after)
    return wallet(facts, outcome.status), balance


def balance(wallet_id: bytes, found: Balance) -> res.Balance:
    """Write a balance that was read."""
    message = res.Balance()
    _fill(message, wallet_id, found.currency, found.after())
    return message


def changed_balance(posted: Posted) -> res.Balance:
    """Write the balance of the customer's side of a deposit or withdrawal."""
    command = posted.command
    message = res.Balance()
    if posted.source_after is not None:
        _fill(message, command.source, command.currency, posted.source_after)
    elif posted.destination_after is not None:
        _fill(message, command.destination, command.currency, posted.destination_after)
    return message


def timestamp(time_us: int) -> Timestamp:
    """Write a time."""
    seconds, micros = divmod(time_us, _MICROS)
    return Timestamp(seconds=seconds, nanos=micros * 1000)


def _outside(wallet_id: bytes) -> str:
    return "" if is_system(wallet_id) else format_id(wallet_id)


def _fill(message: res.Balance, wallet_id: bytes, currency: str, after: BalanceAfter) -> None:
    message.wallet_id = format_id(wallet_id)
    message.currency_code = currency
    message.exponent = EXPONENTS[currency]
    message.posted_minor = after.posted
    message.held_minor = after.held
    message.available_minor = after.available
    message.version = after.version
