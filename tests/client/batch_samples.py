"""Transfers for the tests of batches, answers to them, and outcomes in a form to compare."""

from collections.abc import Sequence

from guilder.client import GuilderError, parse_amount, transfer_request
from guilder.wallet.v1.resources_pb2 import Transaction
from guilder.wallet.v1.wallet_service_pb2 import (
    BatchTransferRequest,
    BatchTransferResponse,
    TransferRequest,
    TransferResponse,
    TransferResult,
)
from walletkit.errors import ServiceError
from walletkit.rpc.status import to_status

AMOUNT = parse_amount("1.00", "EUR")


def transfers(count: int, start: int = 0) -> list[TransferRequest]:
    """Make transfers whose keys are their numbers."""
    return [
        transfer_request("a", "b", AMOUNT, idempotency_key=str(start + number))
        for number in range(count)
    ]


def good(transfer: TransferRequest) -> TransferResult:
    """Answer a transfer; the transaction's id is its key, so that a test sees which it was."""
    transaction = Transaction(transaction_id=transfer.idempotency_key)
    return TransferResult(response=TransferResponse(transaction=transaction))


def bad(reason: str) -> TransferResult:
    """Refuse a transfer."""
    return TransferResult(error=to_status(ServiceError(reason, "no")))


def answer_batch(request: BatchTransferRequest) -> BatchTransferResponse:
    """Answer all of a batch."""
    return BatchTransferResponse(results=[good(item) for item in request.transfers])


def shown(outcomes: Sequence[object]) -> list[str]:
    """Show outcomes: the key of what was made, the reason of what was not."""
    return [
        item.reason if isinstance(item, GuilderError) else item.transaction.transaction_id
        for item in outcomes
        if isinstance(item, GuilderError | TransferResponse)
    ]
