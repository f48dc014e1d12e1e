"""Answer the statements: a header, lines a few hundred at a time, a footer that proves them."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

import structlog

from guilder.ledger.v1 import ledger_service_pb2 as api
from guilder.type.v1.position_pb2 import Position
from ledger.api import convert
from ledger.api.lists import find
from ledger.api.statement_csv import CsvStatement
from ledger.api.waiting import Context, Waiting
from ledger.store.assets_read import exponent
from ledger.store.pool import Pool
from ledger.store.statement import (
    Line,
    Period,
    effective_lines,
    period_of,
    recorded_lines,
)
from walletkit.errors import ServiceError, invalid_field
from walletkit.ids import format_id, is_system
from walletkit.rpc.times import fill_time

log = structlog.get_logger()

_EFFECTIVE = api.STATEMENT_BASIS_EFFECTIVE


@dataclass(slots=True)
class _Sums:
    """What the lines so far come to."""

    balance: int
    debit: int = 0
    credit: int = 0
    count: int = 0

    def add(self, delta: int) -> None:
        """Count one line."""
        self.balance += delta
        self.count += 1
        if delta < 0:
            self.debit -= delta
        else:
            self.credit += delta


class Statements:
    """Statements of wallets."""

    def __init__(self, pool: Pool, waiting: Waiting) -> None:
        self._pool = pool
        self._waiting = waiting

    async def get_statement(
        self, request: api.GetStatementRequest, context: Context
    ) -> AsyncIterator[api.GetStatementResponse]:
        """Stream a statement.

        Raise ``ServiceError`` (INVALID_FIELD, WALLET_NOT_FOUND, DEADLINE_EXCEEDED,
        LEDGER_UNAVAILABLE; INTERNAL when opening and lines do not come to closing).
        """
        wallet_id, times = _check(request)
        effective = request.basis == _EFFECTIVE
        await self._waiting.for_wallet(request, wallet_id, context)
        async with self._pool.session() as session:
            account, position = await find(session, wallet_id, request.wallet_id)
            period = await period_of(session, wallet_id, account, times, effective=effective)
            digits = await exponent(session, account.currency)
        header = _header(request, period, position, digits)
        csv = CsvStatement(header) if request.format == api.STATEMENT_FORMAT_CSV else None
        yield api.GetStatementResponse(header=header) if csv is None else _csv(csv.opening())
        sums = _Sums(period.opening)
        reading = effective_lines if effective else recorded_lines
        async for lines in reading(self._pool, period):
            rendered = _render(period, lines, sums, digits, recorded=not effective)
            if csv is None:
                yield api.GetStatementResponse(lines=api.StatementLines(lines=rendered))
            else:
                yield _csv(csv.lines(rendered))
        footer = _footer(period, sums)
        yield api.GetStatementResponse(footer=footer) if csv is None else _csv(csv.closing(footer))


def _check(request: api.GetStatementRequest) -> tuple[bytes, tuple[int | None, int | None]]:
    wallet_id = convert.wallet_id(request.wallet_id)
    start, end = convert.moment(request, "start_time"), convert.moment(request, "end_time")
    if start is not None and end is not None and end < start:
        raise invalid_field("end_time", end, "not before start_time")
    if request.basis not in api.StatementBasis.values():
        raise invalid_field("basis", request.basis, "a known value")
    if request.format not in api.StatementFormat.values():
        raise invalid_field("format", request.format, "a known value")
    return wallet_id, (start, end)


def _header(
    request: api.GetStatementRequest, period: Period, position: Position, digits: int
) -> api.StatementHeader:
    header = api.StatementHeader(
        wallet_id=format_id(period.wallet_id),
        account_id="" if is_system(period.wallet_id) else period.account.account_id,
        currency_code=period.account.currency,
        exponent=digits,
        opening_minor=str(period.opening),
        basis=request.basis or api.STATEMENT_BASIS_RECORDED,
        position=position,
        version=period.account.version,
    )
    for field in ("start_time", "end_time"):
        if request.HasField(field):
            getattr(header, field).CopyFrom(getattr(request, field))
    return header


def _render(
    period: Period, lines: Sequence[Line], sums: _Sums, digits: int, *, recorded: bool
) -> list[api.StatementLine]:
    """Render lines with the balance after each; what was recorded must say the same."""
    wallet_text, currency = format_id(period.wallet_id), period.account.currency
    rendered = []
    for time_us, row, transaction, effective_us in lines:
        sums.add(row.delta)
        if recorded and row.balance_after != sums.balance:
            _refuse(period, f"after version {row.version}", row.balance_after, sums.balance)
        line = api.StatementLine(balance_minor=str(sums.balance))
        convert.fill_entry(line.entry, wallet_text, currency, digits, row)
        fill_time(line.effective_time, effective_us or time_us)
        if transaction is not None:
            line.type = transaction.type
            line.reference = transaction.reference.decode(errors="replace")
            line.description = convert.description(transaction.opaque)
        rendered.append(line)
    return rendered


def _footer(period: Period, sums: _Sums) -> api.StatementFooter:
    """Render the end, if opening and lines come to it."""
    if sums.balance != period.closing:
        _refuse(period, "at the end", period.closing, sums.balance)
    return api.StatementFooter(
        closing_minor=str(period.closing),
        debit_minor=str(sums.debit),
        credit_minor=str(sums.credit),
        line_count=sums.count,
    )


def _refuse(period: Period, where: str, expected: int, found: int) -> None:
    wallet = format_id(period.wallet_id)
    log.error("statement does not add up", wallet=wallet, expected=expected, found=found)
    text = f"wallet {wallet} {where}: the journal says {expected}, its entries come to {found}"
    raise ServiceError("INTERNAL", text, {"wallet_id": wallet})


def _csv(chunk: bytes) -> api.GetStatementResponse:
    return api.GetStatementResponse(csv=chunk)
