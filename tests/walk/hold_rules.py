"""Rules about holds: authorized, incremented, extended, captured, voided, expired."""

import time
from datetime import UTC, timedelta
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import consumes, multiple, precondition, rule

from guilder.wallet.v1 import holds_pb2
from guilder.wallet.v1 import resources_pb2 as res
from tests.walk.asking import money, now, time_of
from tests.walk.caller import Answer
from tests.walk.model import Stages, Ticket
from tests.walk.money_rules import AMOUNTS, MoneyRules

SHORT_S = 0.4
EXPIRED_WITHIN_S = 10.0


class HoldRules(MoneyRules):
    """What reserves money, and what becomes of it."""

    @rule(
        target=MoneyRules.holds,
        wallet=MoneyRules.wallets,
        to=st.one_of(st.none(), MoneyRules.wallets),
        amount=AMOUNTS,
    )
    def authorize(self, wallet: str, to: str | None, amount: int) -> Any:
        """Reserve money."""
        return self._authorize(wallet, to if to != wallet else None, amount, 3_600)

    @precondition(lambda self: self.taken % 20 == 0)
    @rule(wallet=MoneyRules.wallets, amount=st.integers(1, 5))
    def expire(self, wallet: str, amount: int) -> None:
        """Reserve for a moment, and come too late."""
        ticket = self._authorize(wallet, None, amount, SHORT_S)
        if not isinstance(ticket, Ticket):
            return
        time.sleep(SHORT_S)
        late = holds_pb2.CaptureHoldRequest(hold_id=ticket.hold_id)
        answer = self.caller.call("CaptureHold", self.keyed(late))
        frozen = self.model.state_faults(wallet, debit=True)
        assert answer.reason in {"HOLD_EXPIRED", *frozen}, answer
        give_up = time.monotonic() + EXPIRED_WITHIN_S
        while self._hold(ticket.hold_id).state != res.HOLD_STATE_EXPIRED:
            assert time.monotonic() < give_up, "an expired hold is not released"
            time.sleep(0.05)
        ticket.state, ticket.released = "EXPIRED", ticket.authorized
        self.model.reserve(self.model.purses[wallet], -amount)

    @rule(ticket=MoneyRules.holds, amount=AMOUNTS)
    def increment(self, ticket: Ticket, amount: int) -> None:
        """Reserve more."""
        purse = self.model.purses[ticket.wallet_id]
        request = holds_pb2.IncrementHoldRequest(
            hold_id=ticket.hold_id, amount=money(purse.currency, amount)
        )
        states = self._ended(ticket) | self.model.state_faults(ticket.wallet_id, debit=True)
        limits = self.model.debit_faults(
            purse, amount, now(), holding=True, grown=ticket.authorized
        )
        funds = {"INSUFFICIENT_FUNDS"} if purse.available < amount else set()
        answer = self.ask("IncrementHold", request, [states, limits, funds])
        if not answer.reason:
            ticket.authorized += amount
            self.model.reserve(purse, amount)
            self._check_hold(answer, ticket)

    @rule(ticket=MoneyRules.holds, hours=st.integers(2, 100))
    def extend(self, ticket: Ticket, hours: int) -> None:
        """Move a hold's end."""
        purse = self.model.purses[ticket.wallet_id]
        expires = now() + timedelta(hours=hours)
        before = self._hold(ticket.hold_id).expire_time.ToDatetime(UTC)
        request = holds_pb2.ExtendHoldRequest(hold_id=ticket.hold_id, expire_time=time_of(expires))
        states = self._ended(ticket)
        earlier = {"HOLD_EXPIRE_TIME"} if expires <= before else set()
        answer = self.ask("ExtendHold", request, [states, earlier])
        if not answer.reason:
            purse.version += 1
            self._check_hold(answer, ticket)

    @rule(
        target=MoneyRules.deals,
        ticket=MoneyRules.holds,
        amount=st.one_of(st.none(), AMOUNTS),
        final=st.booleans(),
    )
    def capture(self, ticket: Ticket, amount: int | None, *, final: bool) -> Any:
        """Move what is reserved, or part of it, or more."""
        purse = self.model.purses[ticket.wallet_id]
        request = holds_pb2.CaptureHoldRequest(hold_id=ticket.hold_id, final=final)
        if amount is not None:
            request.amount.CopyFrom(money(purse.currency, amount))
        asked = ticket.open if amount is None else amount
        lines = [(ticket.wallet_id, ticket.destination, purse.currency, asked)]
        excess = max(asked - ticket.open, 0)
        answer = self.ask("CaptureHold", request, self._capture_stages(ticket, asked, excess))
        if answer.reason:
            return multiple()
        if excess:
            ticket.authorized += excess
            self.model.reserve(purse, excess)
        ticket.captured += asked
        released = 0
        if final or excess or not ticket.open:
            released, ticket.state = ticket.open, "CAPTURED"
            ticket.released += released
        self.model.reserve(purse, -asked - released)
        state = self.model.post(lines, purse.shard, now())
        self._check_hold(answer, ticket)
        return self.deal_of("CaptureHold", answer, lines, state, ticket.hold_id)

    @rule(ticket=consumes(MoneyRules.holds))
    def void(self, ticket: Ticket) -> None:
        """Release what is reserved; it is no use to come again, but once more it is tried."""
        request = holds_pb2.VoidHoldRequest(hold_id=ticket.hold_id)
        answer = self.ask("VoidHold", request, [self._ended(ticket)])
        if not answer.reason:
            released = ticket.open
            ticket.released += released
            ticket.state = "VOIDED"
            self.model.reserve(self.model.purses[ticket.wallet_id], -released)
            self._check_hold(answer, ticket)
            late = holds_pb2.CaptureHoldRequest(hold_id=ticket.hold_id)
            frozen = self.model.state_faults(ticket.wallet_id, debit=True)
            self.ask("CaptureHold", late, [{"HOLD_VOIDED", *frozen}])

    def _authorize(self, wallet: str, to: str | None, amount: int, seconds: float) -> Any:
        purse = self.model.purses[wallet]
        request = holds_pb2.AuthorizeRequest(
            wallet_id=wallet,
            amount=money(purse.currency, amount),
            destination_wallet_id=to or "",
            expire_time=time_of(now() + timedelta(seconds=seconds)),
        )
        states = self.model.state_faults(wallet, debit=True)
        currencies: set[str] = set()
        if to is not None:
            states |= self.model.state_faults(to, debit=False)
            if self.model.purses[to].currency != purse.currency:
                currencies = {"CURRENCY_MISMATCH"}
        moment = now()
        limits = self.model.debit_faults(purse, amount, moment, holding=True)
        funds = {"INSUFFICIENT_FUNDS"} if purse.available < amount else set()
        answer = self.ask("Authorize", request, [states, currencies, limits, funds])
        if answer.reason:
            return multiple()
        self.model.begin(wallet, moment)
        self.model.reserve(purse, amount)
        ticket = Ticket(answer.message.hold.hold_id, wallet, to or "", amount)
        self.model.tickets[ticket.hold_id] = ticket
        self._check_hold(answer, ticket)
        return ticket

    def _capture_stages(self, ticket: Ticket, asked: int, excess: int) -> Stages:
        purse = self.model.purses[ticket.wallet_id]
        states = self._ended(ticket) | self.model.state_faults(ticket.wallet_id, debit=True)
        limits: set[str] = set()
        funds: set[str] = set()
        if ticket.destination:
            states |= self.model.state_faults(ticket.destination, debit=False)
            payee = self.model.purses[ticket.destination]
            if payee.shard == purse.shard:
                limits |= self.model.credit_faults(payee, asked, now())
        if excess:
            percent = purse.rules.over_capture if purse.rules.any else 0
            most = ticket.authorized + ticket.authorized * percent // 100
            if ticket.captured + asked > most:
                limits.add("HOLD_OVER_CAPTURE")
            limits |= self.model.debit_faults(
                purse, excess, now(), holding=True, grown=ticket.authorized
            )
            if purse.available < excess:
                funds.add("INSUFFICIENT_FUNDS")
        return [states, limits, funds]

    def _ended(self, ticket: Ticket) -> set[str]:
        closed = self.model.purses[ticket.wallet_id].status == "CLOSED"
        ended = {f"HOLD_{ticket.state}"} if ticket.state != "AUTHORIZED" else set()
        return ended | ({"WALLET_CLOSED"} if closed else set())

    def _check_hold(self, answer: Answer, ticket: Ticket) -> None:
        hold = answer.message.hold
        found = hold.authorized_minor, hold.captured_minor, hold.released_minor, hold.open_minor
        assert found == (ticket.authorized, ticket.captured, ticket.released, ticket.open)
        assert hold.state == res.HoldState.Value(f"HOLD_STATE_{ticket.state}")

    def _hold(self, hold_id: str) -> Any:
        answer = self.caller.call("GetHold", holds_pb2.GetHoldRequest(hold_id=hold_id))
        assert not answer.reason, answer
        return answer.message.hold
