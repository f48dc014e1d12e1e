"""Lists of transactions: the ledger has them, asked through its stub."""

import grpc
import grpc.aio

from guilder.ledger.v1 import ledger_service_pb2 as ledger
from guilder.ledger.v1 import ledger_service_pb2_grpc as ledger_stubs
from guilder.wallet.v1 import wallet_service_pb2 as pb
from wallet.api import convert
from wallet.domain.kinds import TransactionState, TransactionType
from wallet.store.queries import StoredTransaction
from walletkit.errors import ServiceError
from walletkit.rpc.status import violations_of

LEDGER_TIMEOUT_S = 5.0


class History:
    """The ledger's lists, in the wallets' words."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        """Take a channel to the ledger."""
        self._ledger = ledger_stubs.LedgerServiceStub(channel)

    async def list(
        self, request: pb.ListTransactionsRequest, time_remaining_s: float | None
    ) -> pb.ListTransactionsResponse:
        """Return a page. Raise ``ServiceError`` LEDGER_UNAVAILABLE or what the ledger refuses."""
        question = ledger.ListTransactionsRequest(
            wallet_id=request.wallet_id,
            page_size=request.page_size,
            page_token=request.page_token,
        )
        for field in ("start_time", "end_time", "min_position"):
            if request.HasField(field):
                getattr(question, field).CopyFrom(getattr(request, field))
        timeout_s = min(LEDGER_TIMEOUT_S, time_remaining_s or LEDGER_TIMEOUT_S)
        try:
            page = await self._ledger.ListTransactions(question, timeout=timeout_s)
        except grpc.aio.AioRpcError as error:
            if error.code() == grpc.StatusCode.NOT_FOUND:
                return pb.ListTransactionsResponse()
            raise _from_ledger(error) from error
        return pb.ListTransactionsResponse(
            transactions=[_wallet_transaction(one) for one in page.transactions],
            next_page_token=page.next_page_token,
            position=page.position,
        )


def _wallet_transaction(one: ledger.JournalTransaction) -> pb.WalletTransaction:
    entry = one.entry
    credit = entry.side == ledger.ENTRY_SIDE_CREDIT
    found = pb.WalletTransaction(
        delta_minor=entry.amount_minor if credit else -entry.amount_minor,
        posted_after_minor=int(entry.posted_after_minor),
        version=entry.version,
    )
    if one.HasField("transaction"):
        found.transaction.CopyFrom(convert.transaction(_stored(one)))
    else:
        # The home's record is still on its way to the ledger; the wallet's own side is known.
        found.transaction.transaction_id = entry.transaction_id
    return found


def _stored(one: ledger.JournalTransaction) -> StoredTransaction:
    transaction = one.transaction
    (posting,) = transaction.postings
    return StoredTransaction(
        tx_id=transaction.transaction_id,
        type=TransactionType(transaction.type),
        state=TransactionState(transaction.state),
        source=transaction.source,
        destination=transaction.destination,
        currency=posting.currency_code,
        amount=posting.amount_minor,
        create_time_us=_micros(one),
        reference=transaction.reference,
        opaque=transaction.opaque,
    )


def _micros(one: ledger.JournalTransaction) -> int:
    moment = one.create_time
    return moment.seconds * 1_000_000 + moment.nanos // 1000


def _from_ledger(error: grpc.aio.AioRpcError) -> Exception:
    """Pass on what the caller can mend; all else means that the ledger can't be asked now."""
    if error.code() == grpc.StatusCode.INVALID_ARGUMENT:
        # The fields have the same names there.
        violations = violations_of(error)
        metadata = {"field": violations[0].field} if violations else {}
        message = error.details() or "refused by the ledger"
        return ServiceError("INVALID_FIELD", message, metadata, violations)
    if error.code() == grpc.StatusCode.DEADLINE_EXCEEDED:
        return ServiceError("DEADLINE_EXCEEDED", "the ledger did not get there in time")
    return ServiceError("LEDGER_UNAVAILABLE", "the ledger does not answer", {})
