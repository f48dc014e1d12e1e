"""Lists of transactions, and families: the ledger has them, asked through its stub."""

import time
from collections.abc import Awaitable, Callable

import grpc
import grpc.aio

from guilder.events.v1 import record_pb2 as events
from guilder.ledger.v1 import ledger_service_pb2 as ledger
from guilder.ledger.v1 import ledger_service_pb2_grpc as ledger_stubs
from guilder.type.v1.position_pb2 import Position
from guilder.wallet.v1 import resources_pb2 as res
from guilder.wallet.v1 import wallet_service_pb2 as pb
from wallet.api import render
from wallet.domain.commands import Line
from wallet.domain.kinds import TransactionState, TransactionType
from wallet.store.queries import StoredTransaction
from walletkit.errors import ServiceError
from walletkit.ids import SystemKind, format_id
from walletkit.rpc.status import violations_of
from walletkit.rpc.times import micros_of

LEDGER_TIMEOUT_S = 5.0
MAX_FAMILY = 1_000
"""Members of a family that are shown: the oldest are not, of a larger one."""

FAMILY_PAGE = 500

_FORWARDED = (
    *("wallet_id", "account_id", "reference", "metadata_key", "metadata_value"),
    *("page_size", "page_token"),
)
_TRANSIT = bytes((0, SystemKind.TRANSIT))

Member = tuple[events.Transaction, int]
"""A transaction with its state of now, and when its home recorded it, in microseconds."""

Members = list[Member]
MakeSureOf = Callable[[set[str]], Awaitable[None]]


class History:
    """The ledger's lists, in the wallets' words."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        """Take a channel to the ledger."""
        self._ledger = ledger_stubs.LedgerServiceStub(channel)

    async def list(
        self,
        request: pb.ListTransactionsRequest,
        time_remaining_s: float | None,
        make_sure_of: MakeSureOf | None = None,
    ) -> pb.ListTransactionsResponse:
        """Return a page.

        ``make_sure_of`` is called with the page's currencies before it is written: an asset may
        have been registered through another process. Raise ``ServiceError`` LEDGER_UNAVAILABLE,
        DEADLINE_EXCEEDED or what the ledger refuses: INVALID_FIELD, ACCOUNT_TOO_LARGE.
        """
        question = ledger.ListTransactionsRequest(
            # The numbers are the same, by design.
            types=[events.TransactionType.ValueType(value) for value in request.types],
            states=[events.TransactionState.ValueType(value) for value in request.states],
            **{field: getattr(request, field) for field in _FORWARDED},
        )
        for field in ("start_time", "end_time", "min_position"):
            if request.HasField(field):
                getattr(question, field).CopyFrom(getattr(request, field))
        page = await self._ask(question, time_remaining_s)
        if make_sure_of is not None:
            await make_sure_of(_currencies(page))
        return pb.ListTransactionsResponse(
            transactions=[_wallet_transaction(one) for one in page.transactions],
            next_page_token=page.next_page_token,
            # Not set where the ledger has none to tell.
            position=page.position if page.HasField("position") else None,
        )

    async def family(
        self,
        root_id: bytes,
        time_remaining_s: float | None,
        min_position: Position | None = None,
    ) -> Members:
        """Return all that follows from a hold or transaction, oldest first, itself left out.

        Raise ``ServiceError`` as ``list`` does.
        """
        question = ledger.ListTransactionsRequest(
            family_id=format_id(root_id), page_size=FAMILY_PAGE, min_position=min_position
        )
        ends_at = time.monotonic() + _timeout_s(time_remaining_s)
        members: Members = []
        while len(members) < MAX_FAMILY:
            page = await self._ask(question, max(ends_at - time.monotonic(), 0))
            members += [(one.transaction, micros_of(one.create_time)) for one in page.transactions]
            question.page_token = page.next_page_token
            if not page.next_page_token:
                break
        # Each shard's came newest first, those of one record too.
        oldest_first = members[MAX_FAMILY - 1 :: -1]
        oldest_first.sort(key=_recorded_at)
        return oldest_first

    async def _ask(
        self, question: ledger.ListTransactionsRequest, time_remaining_s: float | None
    ) -> ledger.ListTransactionsResponse:
        """Ask the ledger; a wallet that it has not heard of yet has no transactions."""
        try:
            return await self._ledger.ListTransactions(
                question, timeout=_timeout_s(time_remaining_s)
            )
        except grpc.aio.AioRpcError as error:
            if error.code() == grpc.StatusCode.NOT_FOUND:
                return ledger.ListTransactionsResponse()
            raise _from_ledger(error, question) from error


def member(transaction: events.Transaction, create_time_us: int) -> res.Transaction:
    """Write a transaction that the ledger has, in the wallets' words."""
    return render.transaction(_stored(transaction, create_time_us))


def _currencies(page: ledger.ListTransactionsResponse) -> set[str]:
    return {p.currency_code for one in page.transactions for p in one.transaction.postings}


def _timeout_s(remaining_s: float | None) -> float:
    return LEDGER_TIMEOUT_S if remaining_s is None else min(LEDGER_TIMEOUT_S, remaining_s)


def _recorded_at(one: Member) -> int:
    return one[1]


def _wallet_transaction(one: ledger.JournalTransaction) -> pb.WalletTransaction:
    found = pb.WalletTransaction()
    if one.HasField("entry"):
        entry = one.entry
        credit = entry.side == ledger.ENTRY_SIDE_CREDIT
        found.delta_minor = entry.amount_minor if credit else -entry.amount_minor
        found.posted_after_minor = int(entry.posted_after_minor)
        found.version = entry.version
        found.wallet_id = entry.wallet_id
    if one.HasField("transaction"):
        found.transaction.CopyFrom(member(one.transaction, micros_of(one.create_time)))
    else:
        # The home's record is still on its way to the ledger; the wallet's own side is known.
        found.transaction.transaction_id = one.entry.transaction_id
    return found


def _stored(transaction: events.Transaction, create_time_us: int) -> StoredTransaction:
    lines = _lines(transaction)
    return StoredTransaction(
        tx_id=transaction.transaction_id,
        type=TransactionType(transaction.type),
        state=TransactionState(transaction.state),
        source=transaction.source,
        destination=transaction.destination,
        currency=lines[0].currency,
        amount=lines[0].amount,
        create_time_us=create_time_us,
        reference=transaction.reference,
        opaque=transaction.opaque,
        parent=transaction.parent_id,
        family=transaction.family_id,
        lines=lines if len(lines) > 1 else (),
    )


def _lines(transaction: events.Transaction) -> tuple[Line, ...]:
    """Return the postings as the caller asked for them.

    One to another shard is a posting to `transit` and an intent that is numbered by its place.
    """
    beyond = {intent.leg: intent.destination for intent in transaction.intents}
    lines = []
    for number, posting in enumerate(transaction.postings):
        destination = posting.destination
        if destination.startswith(_TRANSIT):
            destination = beyond.get(number, destination)
        lines.append(Line(posting.source, destination, posting.currency_code, posting.amount_minor))
    return tuple(lines)


def _from_ledger(
    error: grpc.aio.AioRpcError, question: ledger.ListTransactionsRequest
) -> Exception:
    """Pass on what the caller can mend; all else means that the ledger can't be asked now."""
    message = error.details() or "refused by the ledger"
    if error.code() == grpc.StatusCode.INVALID_ARGUMENT:
        # The fields have the same names there.
        violations = violations_of(error)
        metadata = {"field": violations[0].field} if violations else {}
        return ServiceError("INVALID_FIELD", message, metadata, violations)
    if error.code() == grpc.StatusCode.FAILED_PRECONDITION:
        # A list has no other precondition.
        return ServiceError("ACCOUNT_TOO_LARGE", message, {"account_id": question.account_id})
    if error.code() == grpc.StatusCode.DEADLINE_EXCEEDED:
        return ServiceError("DEADLINE_EXCEEDED", "the ledger did not get there in time")
    message = f"the ledger does not answer: {error.code().name}"
    return ServiceError("LEDGER_UNAVAILABLE", message, {})
