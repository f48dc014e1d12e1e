"""Pages are one iterator; a statement is read once, and only a complete one ends quietly."""

from collections.abc import Iterator
from typing import Any

import pytest
from google.protobuf.message import Message

from guilder.client import GuilderError, OutcomeUnknownError, UnavailableError
from guilder.events.v1.record_pb2 import AUDIT_ACTION_CLOSE_WALLET
from guilder.ledger.v1.audit_events_pb2 import (
    AuditEvent,
    ListAuditEventsRequest,
    ListAuditEventsResponse,
)
from guilder.ledger.v1.ledger_service_pb2 import (
    STATEMENT_BASIS_EFFECTIVE,
    STATEMENT_FORMAT_CSV,
    STATEMENT_FORMAT_MESSAGES,
    Entry,
    GetStatementResponse,
    ListEntriesResponse,
    StatementFooter,
    StatementHeader,
    StatementLines,
)
from guilder.type.v1.position_pb2 import Position
from guilder.wallet.v1.holds_pb2 import ListHoldsResponse
from guilder.wallet.v1.resources_pb2 import (
    HOLD_STATE_AUTHORIZED,
    TRANSACTION_STATE_COMPLETED,
    TRANSACTION_TYPE_CAPTURE,
    Hold,
)
from guilder.wallet.v1.wallet_service_pb2 import (
    ListTransactionsRequest,
    ListTransactionsResponse,
    WalletTransaction,
)
from tests.client.fake_wallet import QUICK, FakeWallet, Step, serving, unavailable
from tests.client.test_requests import AT_NOON, NOON
from walletkit.errors import ServiceError

HEADER = GetStatementResponse(header=StatementHeader(wallet_id="w"))
LINES = GetStatementResponse(lines=StatementLines())
FOOTER = GetStatementResponse(footer=StatementFooter(closing_minor="0"))


def given(answer: Any) -> Step:  # noqa: ANN401 - a message, or several
    """Make a step that gives an answer."""
    return lambda _request: answer


async def test_holds_of_all_pages_are_one_iterator() -> None:
    """The state narrows every page; a page that fails is asked for again with the same token."""
    fake = FakeWallet(
        given(ListHoldsResponse(holds=[Hold(hold_id="a")], next_page_token="t1")),
        unavailable,
        given(ListHoldsResponse(holds=[Hold(hold_id="b")])),
    )
    async with serving(fake) as guilder:
        holds = guilder.holds.list_holds("w", state=HOLD_STATE_AUTHORIZED)
        assert [hold.hold_id async for hold in holds] == ["a", "b"]
    assert [item.page_token for item in fake.requests] == ["", "t1", "t1"]
    assert {item.state for item in fake.requests} == {HOLD_STATE_AUTHORIZED}


async def test_transactions_are_asked_for_with_all_filters() -> None:
    """Each page carries every filter; an empty page with a token is not the end."""
    fake = FakeWallet(
        given(ListTransactionsResponse(next_page_token="t1")),
        given(ListTransactionsResponse(transactions=[WalletTransaction(version=3)])),
    )
    async with serving(fake) as guilder:
        found = guilder.wallet.list_transactions(
            account_id="alice",
            reference="r",
            metadata_key="order",
            metadata_value="7",
            types=[TRANSACTION_TYPE_CAPTURE],
            states=[TRANSACTION_STATE_COMPLETED],
            start_time=NOON,
            end_time=NOON,
            min_position=Position(shard=1, seq=9),
            limit=10,
        )
        assert [item.version async for item in found] == [3]
    expected = ListTransactionsRequest(
        account_id="alice",
        page_size=10,
        start_time=AT_NOON,
        end_time=AT_NOON,
        min_position=Position(shard=1, seq=9),
        reference="r",
        metadata_key="order",
        metadata_value="7",
        types=[TRANSACTION_TYPE_CAPTURE],
        states=[TRANSACTION_STATE_COMPLETED],
    )
    assert fake.requests[0] == expected
    expected.page_token = "t1"
    assert fake.requests[1] == expected


async def test_entries_of_all_pages_are_one_iterator() -> None:
    """The ledger's entries come page by page, too."""
    fake = FakeWallet(
        given(ListEntriesResponse(entries=[Entry(version=2)], next_page_token="t1")),
        given(ListEntriesResponse(entries=[Entry(version=1)])),
    )
    async with serving(fake) as guilder:
        found = [entry.version async for entry in guilder.ledger.list_entries("w")]
    assert found == [2, 1]


async def test_audit_events_of_all_pages_are_one_iterator() -> None:
    """Every filter goes with every page."""
    fake = FakeWallet(
        given(ListAuditEventsResponse(events=[AuditEvent(actor="a")], next_page_token="t1")),
        given(ListAuditEventsResponse(events=[AuditEvent(actor="b")])),
    )
    async with serving(fake) as guilder:
        events = guilder.ledger.list_audit_events(
            wallet_id="w",
            account_id="alice",
            actor="ops",
            actions=[AUDIT_ACTION_CLOSE_WALLET],
            start_time=NOON,
            end_time=NOON,
            min_position=Position(shard=1, seq=9),
            limit=300,
        )
        assert [event.actor async for event in events] == ["a", "b"]
    expected = ListAuditEventsRequest(
        wallet_id="w",
        account_id="alice",
        actor="ops",
        actions=[AUDIT_ACTION_CLOSE_WALLET],
        start_time=AT_NOON,
        end_time=AT_NOON,
        min_position=Position(shard=1, seq=9),
        page_size=200,
    )
    assert fake.requests[0] == expected
    expected.page_token = "t1"
    assert fake.requests[1] == expected


async def test_a_statement_comes_in_parts() -> None:
    """Header, lines and footer come as they are sent, with the period and basis asked for."""
    fake = FakeWallet(given([HEADER, LINES, FOOTER]))
    async with serving(fake) as guilder:
        statement = guilder.ledger.get_statement(
            "w", start_time=NOON, basis=STATEMENT_BASIS_EFFECTIVE
        )
        assert [part async for part in statement] == [HEADER, LINES, FOOTER]
    (request,) = fake.requests
    assert (request.wallet_id, request.start_time) == ("w", AT_NOON)
    assert (request.basis, request.format) == (STATEMENT_BASIS_EFFECTIVE, STATEMENT_FORMAT_MESSAGES)


async def test_a_statement_without_footer_is_an_error() -> None:
    """A stream that ends early is no statement, though it ends with OK."""
    async with serving(FakeWallet(given([HEADER, LINES]))) as guilder:
        with pytest.raises(UnavailableError, match="cut"):
            _ = [part async for part in guilder.ledger.get_statement("w")]


async def test_a_statement_is_opened_again_only_before_its_first_part() -> None:
    """While nothing has come another try is safe; behind the header it would be another one."""

    def broken(_request: Message) -> Iterator[GetStatementResponse]:
        yield HEADER
        raise ServiceError("OUTCOME_UNKNOWN", "the connection broke")

    fake = FakeWallet(unavailable, broken, given([HEADER, FOOTER]))
    async with serving(fake) as guilder:
        statement = guilder.ledger.get_statement("w")
        assert await anext(statement) == HEADER
        with pytest.raises(OutcomeUnknownError):
            await anext(statement)
    assert len(fake.requests) == 2


async def test_opening_a_statement_is_given_up_after_the_attempts() -> None:
    """Retries of a stream are bounded."""
    fake = FakeWallet(unavailable)
    async with serving(fake) as guilder:
        with pytest.raises(OutcomeUnknownError):
            _ = [part async for part in guilder.ledger.get_statement("w")]
    assert len(fake.requests) == QUICK.max_attempts


async def test_a_statement_as_csv_is_bytes() -> None:
    """The chunks together are the file."""
    fake = FakeWallet(given([GetStatementResponse(csv=b"a,b\r\n"), GetStatementResponse(csv=b"c")]))
    async with serving(fake) as guilder:
        chunks = [chunk async for chunk in guilder.ledger.get_statement_csv("w", end_time=NOON)]
    assert b"".join(chunks) == b"a,b\r\nc"
    (request,) = fake.requests
    assert (request.format, request.end_time) == (STATEMENT_FORMAT_CSV, AT_NOON)


async def test_a_read_that_takes_too_long_is_not_tried_again() -> None:
    """A read has no outcome to learn: its deadline is the caller's answer."""

    def late(_request: Message) -> Message:
        raise ServiceError("DEADLINE_EXCEEDED", "too late")

    fake = FakeWallet(late)
    async with serving(fake) as guilder:
        with pytest.raises(GuilderError) as caught:
            await guilder.ledger.get_balance("w")
    assert caught.value.reason == "DEADLINE_EXCEEDED"
    assert len(fake.requests) == 1
