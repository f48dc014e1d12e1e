"""Walk at random through everything that the suite can be asked, with the model beside it."""

import time

from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule

from tests.walk.hold_rules import EXPIRED_WITHIN_S, HoldRules
from tests.walk.wallet_rules import WalletRules

BOOKED_EVERY = 25
"""After so many steps the ledger is asked for each wallet's balance."""


class Walk(WalletRules, HoldRules):
    """All rules together, and what must hold after each of them."""

    @rule(n=st.integers(0, 10_000))
    def replay(self, n: int) -> None:
        """I4: what was asked before gets its first answer."""
        if not self.past:
            return
        method, request, first = self.past[n % len(self.past)]
        again = self.caller.call(method, request)
        assert again.reason == first.reason, (method, first, again)
        if not first.reason:
            assert again.message.replayed
            for kind in ("balance", "source_balance", "destination_balance"):
                if kind in again.message.DESCRIPTOR.fields_by_name:
                    assert getattr(again.message, kind) == getattr(first.message, kind), method

    @rule(n=st.integers(0, 10_000))
    def spoil(self, n: int) -> None:
        """A key that has decided a transfer refuses another request."""
        done = [one for one in self.past if one[0] in {"Transfer", "Deposit"} and not one[2].reason]
        if done:
            method, request, _ = done[n % len(done)]
            other = type(request)()
            other.CopyFrom(request)
            other.reference = "another"
            assert self.caller.call(method, other).reason == "IDEMPOTENCY_KEY_REUSED"

    @invariant()
    def everything_holds(self) -> None:
        """Look at the rows after each step, and at the ledger now and then."""
        self.taken += 1
        if self.checked == len(self.past):
            return
        self.checked = len(self.past)
        assert self.shards.faults(self.model) == []
        if self.taken % BOOKED_EVERY == 0:
            self._compare_books()

    def teardown(self) -> None:
        """I6, I7: the ledger has come to the same."""
        self._compare_books()

    def _compare_books(self) -> None:
        self.shards.settle()
        for wallet_id, purse in self.model.purses.items():
            # Returns and expiries come after the last reply: the newest balance tells where.
            posted, version = self.caller.booked(wallet_id, self.positions.get(purse.shard))
            give_up = time.monotonic() + EXPIRED_WITHIN_S
            while version != purse.version and time.monotonic() < give_up:
                time.sleep(0.05)
                posted, version = self.caller.booked(wallet_id, self.positions.get(purse.shard))
            assert (posted, version) == (purse.posted, purse.version), wallet_id
