"""Rules that move money: deposits, transfers, several postings, reversals."""

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import multiple, rule

from guilder.wallet.v1 import postings_pb2
from guilder.wallet.v1 import wallet_service_pb2 as pb
from tests.walk.asking import Asking, money, now
from tests.walk.caller import Answer
from tests.walk.model import EXCHANGE, FEES, Deal, Line, Stages

AMOUNTS = st.one_of(st.integers(1, 60), st.sampled_from((100, 1_000, 10**6)))
LARGE = st.one_of(AMOUNTS, st.just(10**15))


class MoneyRules(Asking):
    """What moves money."""

    @rule(target=Asking.deals, wallet=Asking.wallets, amount=LARGE)
    def deposit(self, wallet: str, amount: int) -> Any:
        """Bring money in."""
        currency = self.model.purses[wallet].currency
        request = pb.DepositRequest(wallet_id=wallet, amount=money(currency, amount))
        return self.post_lines("Deposit", request, [("", wallet, currency, amount)])

    @rule(target=Asking.deals, wallet=Asking.wallets, amount=AMOUNTS)
    def withdraw(self, wallet: str, amount: int) -> Any:
        """Take money out."""
        currency = self.model.purses[wallet].currency
        request = pb.WithdrawRequest(wallet_id=wallet, amount=money(currency, amount))
        return self.post_lines("Withdraw", request, [(wallet, "", currency, amount)])

    @rule(
        target=Asking.deals,
        source=Asking.wallets,
        destination=Asking.wallets,
        amount=LARGE,
        named=st.booleans(),
        stale=st.sampled_from((False, False, False, True)),
    )
    def transfer(
        self, source: str, destination: str, amount: int, *, named: bool, stale: bool
    ) -> Any:
        """Move money, at times by names, at times on an outdated version."""
        if source == destination:
            return multiple()
        purse = self.model.purses[source]
        ends = [self.alias(end) if named else end for end in (source, destination)]
        request = pb.TransferRequest(
            source_wallet_id=ends[0],
            destination_wallet_id=ends[1],
            amount=money(purse.currency, amount),
            expected_version=purse.version + stale,
        )
        lines = [(source, destination, purse.currency, amount)]
        return self.post_lines("Transfer", request, lines, stale=stale)

    @rule(
        target=Asking.deals, chosen=st.lists(Asking.wallets, min_size=2, max_size=5), amount=AMOUNTS
    )
    def post(self, chosen: list[str], amount: int) -> Any:
        """Pay several wallets at once, with a fee, and an exchange where currencies differ."""
        payer, *payees = dict.fromkeys(chosen)
        paying = self.model.purses[payer]
        lines: list[Line] = []
        total = 0
        for payee in payees:
            other = self.model.purses[payee]
            if other.currency == paying.currency:
                total += amount
            else:
                lines.append((EXCHANGE, payee, other.currency, 2 * amount))
                total += amount
        if not payees:
            return multiple()
        direct = [p for p in payees if self.model.purses[p].currency == paying.currency]
        lines += [(payer, payee, paying.currency, amount) for payee in direct[:1]]
        # The payer appears once, so that what is judged does not depend on the order.
        lines += [(FEES, payee, paying.currency, amount) for payee in direct[1:]]
        if not direct:
            lines.append((payer, EXCHANGE, paying.currency, amount * len(payees)))
        request = postings_pb2.PostTransactionRequest(
            postings=[
                postings_pb2.Posting(
                    source_wallet_id=source, destination_wallet_id=to, amount=money(code, value)
                )
                for source, to, code, value in lines
            ]
        )
        return self.post_lines("PostTransaction", request, lines, home=paying.shard)

    @rule(deal=Asking.deals, amount=st.one_of(st.none(), AMOUNTS))
    def reverse(self, deal: Deal, amount: int | None) -> None:
        """Send a transaction's money back, or part of it."""
        if deal.kind == "PostTransaction" or deal.state == "RETURNED":
            return
        source, destination, currency, value = deal.lines[0]
        request = postings_pb2.ReverseTransactionRequest(
            transaction_id=deal.tx_id, reason="walk", actor="machine"
        )
        if amount is not None:
            request.amount.CopyFrom(money(currency, amount))
        left = value - deal.reversed
        asked = left if amount is None else amount
        lines = [(destination, source, currency, asked)]
        home = self.model.purses[destination or source].shard
        exists, states, currencies, limits, funds = self.model.line_faults(lines, home, now())
        own = set()
        if left == 0:
            own, limits, funds = {"TRANSACTION_REVERSED"}, set(), set()
        elif asked > left:
            own, limits, funds = {"REVERSAL_EXCEEDS_ORIGINAL"}, set(), set()
        # Whether there is anything left is a matter of state; it stands beside the wallets'.
        stages = [exists, states | own, currencies, limits, funds]
        made = self.make_lines("ReverseTransaction", request, lines, stages, home)
        if made is not None:
            # What came back can be tried again.
            deal.reversed += asked if made.state != "RETURNED" else 0
            answer = self.past[-1][2].message.transaction
            assert answer.parent_id == deal.tx_id
            assert answer.family_id == (deal.family or deal.tx_id)
            assert (answer.reason, answer.actor) == ("walk", "machine")

    def post_lines(
        self,
        method: str,
        request: Any,
        lines: list[Line],
        *,
        stale: bool = False,
        home: int | None = None,
    ) -> Any:
        """Make a transaction of lines, or see it declined."""
        source, destination, *_ = lines[0]
        if home is None:
            home = self.model.purses[source or destination].shard
        exists, states, currencies, limits, funds = self.model.line_faults(lines, home, now())
        versions = {"VERSION_MISMATCH"} if stale else set()
        stages = [exists, states, currencies, versions, limits, funds]
        deal = self.make_lines(method, request, lines, stages, home)
        return multiple() if deal is None else deal

    def make_lines(
        self, method: str, request: Any, lines: list[Line], stages: Stages, home: int
    ) -> Deal | None:
        """Ask for a transaction; return it, or None where the verdict declines it."""
        answer = self.ask(method, request, stages)
        if answer.reason:
            return None
        moment = now()
        for source, *_ in lines:
            self.model.begin(source, moment)
        state = self.model.post(lines, home, moment)
        return self.deal_of(method, answer, lines, state, "")

    def deal_of(
        self, method: str, answer: Answer, lines: list[Line], state: str, family: str
    ) -> Deal:
        """Note a transaction, once it has come to the end that the model says."""
        told = answer.message.transaction
        deal = Deal(told.transaction_id, method, lines, state, family=family)
        self.model.deals[deal.tx_id] = deal
        found = self.caller.settled(deal.tx_id)
        assert found == state, (method, answer, found, state)
        return deal
