"""Random debits, credits and holds never exceed a window, as plain sums over them tell."""

from collections import defaultdict
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.domain.commands_for_tests import HERE, NOW_US, make_id
from tests.domain.limited_for_tests import DAY, DEBITS, HOUR, MONTH, NET_DEBITS, limited_batch
from wallet.domain.batch import Batch
from wallet.domain.commands import Limits, VelocityLimit
from wallet.domain.kinds import HoldState, VelocityBasis, VelocityWindow
from wallet.domain.limits import begin, refuse_capture, refuse_credit, refuse_debit
from wallet.domain.outcome import Hold
from walletkit.ids import NIL

A, B = make_id(HERE, 1), make_id(HERE, 2)
WORLD = bytes((0, 1)) + bytes(14)
SHAPES = {HOUR: "%Y-%m-%d %H", DAY: "%Y-%m-%d", MONTH: "%Y-%m"}
MIN_MOVES, MAX_MOVES = 20, 60

WALLET_LIMITS = Limits(
    over_capture_percent=20,
    velocity=(
        VelocityLimit(HOUR, DEBITS, 60, 0),
        VelocityLimit(DAY, DEBITS, 100, 4),
        VelocityLimit(DAY, NET_DEBITS, 30, 0),
    ),
)
ACCOUNT_LIMITS = Limits(
    velocity=(VelocityLimit(DAY, DEBITS, 130, 0), VelocityLimit(MONTH, NET_DEBITS, 200, 0))
)

WALLETS = st.sampled_from((A, B))
AMOUNTS = st.sampled_from((1, 10, 20, 30, 50, 60, 70))
PERCENTS = st.sampled_from((1, 50, 100, 110, 120, 121))
MOVES = st.one_of(
    st.tuples(st.just("spend"), WALLETS, AMOUNTS),
    st.tuples(st.just("receive"), WALLETS, AMOUNTS),
    st.tuples(st.just("hold"), WALLETS, AMOUNTS),
    st.tuples(st.just("increment"), st.integers(0, 9), AMOUNTS),
    st.tuples(st.just("capture"), st.integers(0, 9), PERCENTS),
    st.tuples(st.just("void"), st.integers(0, 9), AMOUNTS),
    st.tuples(st.just("wait"), st.just(A), st.sampled_from((1, 20, 61, 24 * 60, 31 * 24 * 60))),
)


class Storm:
    """Wallets of one limited account under way, and a list of all that ever moved."""

    def __init__(self) -> None:
        """Begin with money in both wallets, one of which is limited by itself too."""
        self.batch: Batch = limited_batch({A: WALLET_LIMITS, B: None}, ACCOUNT_LIMITS, posted=10**6)
        self.holds: list[Hold] = []
        self.moved: list[tuple[datetime, bytes, int]] = []
        self.now = datetime.fromtimestamp(NOW_US / 10**6, UTC)

    def move(self, kind: str, wallet_or_index: bytes | int, amount: int) -> None:
        """Carry one move out, or find it refused."""
        if kind == "wait":
            self.now += timedelta(minutes=amount)
            self.batch.now_us += amount * 60 * 10**6
        elif isinstance(wallet_or_index, bytes):
            self.direct(kind, wallet_or_index, amount)
        elif self.holds:
            self.change_hold(kind, wallet_or_index % len(self.holds), amount)

    def direct(self, kind: str, wallet: bytes, amount: int) -> None:
        """Debit, credit or reserve."""
        batch, balance = self.batch, self.batch.balances[wallet]
        if kind == "receive":
            if refuse_credit(batch, wallet, balance, amount) is None:
                batch.post(WORLD, wallet, "EUR", amount)
                self.moved.append((self.now, wallet, amount))
            return
        if refuse_debit(batch, wallet, balance, amount, reserving=kind == "hold") is not None:
            return
        begin(batch, wallet, balance)
        if kind == "hold":
            batch.hold(wallet, amount)
            state = HoldState.AUTHORIZED
            self.holds.append(
                Hold(make_id(HERE), wallet, "EUR", NIL, state, amount, 0, 0, 0, 0, b"", b"")
            )
        else:
            self.post(wallet, amount)

    def change_hold(self, kind: str, index: int, amount: int) -> None:
        """Increment, capture or void an open hold."""
        hold = self.holds[index]
        batch, wallet, before = self.batch, hold.wallet_id, hold.authorized
        if kind == "capture":
            self.capture(index, -(-before * amount // 100))
        elif kind == "void":
            batch.hold(wallet, -hold.open)
            del self.holds[index]
        elif refuse_debit(batch, wallet, batch.balances[wallet], amount, authorized=before) is None:
            batch.hold(wallet, amount)
            self.holds[index] = hold._replace(authorized=before + amount)

    def capture(self, index: int, amount: int) -> None:
        """Capture an amount; what goes beyond the hold is held first, as the deciders do."""
        hold = self.holds[index]
        batch, wallet = self.batch, hold.wallet_id
        if refuse_capture(batch, hold, batch.balances[wallet], amount) is not None:
            return
        excess = max(0, amount - hold.open)
        batch.hold(wallet, excess)
        batch.hold(wallet, -amount)
        self.post(wallet, amount)
        hold = hold._replace(authorized=hold.authorized + excess, captured=hold.captured + amount)
        self.holds[index] = hold
        if hold.open == 0:
            del self.holds[index]

    def post(self, wallet: bytes, amount: int) -> None:
        """Take an amount out."""
        self.batch.post(wallet, WORLD, "EUR", amount)
        self.moved.append((self.now, wallet, -amount))

    def used(
        self, wallets: set[bytes], window: VelocityWindow, basis: VelocityBasis
    ) -> dict[str, int]:
        """Sum what was moved, by the name of its window."""
        sums: dict[str, int] = defaultdict(int)
        for moment, wallet, delta in self.moved:
            if wallet in wallets and (delta < 0 or basis == NET_DEBITS):
                sums[moment.strftime(SHAPES[window])] -= delta
        return sums

    def check(self) -> None:
        """Compare every window there was with its limit; that of now with what is held besides."""
        for wallets, limits in (({A}, WALLET_LIMITS), ({A, B}, ACCOUNT_LIMITS)):
            held = sum(hold.open for hold in self.holds if hold.wallet_id in wallets)
            for limit in limits.velocity:
                used = self.used(wallets, limit.window, limit.basis)
                assert all(sum_ <= limit.max_amount for sum_ in used.values())
                current = used.get(self.now.strftime(SHAPES[limit.window]), 0)
                assert current + held <= limit.max_amount


@settings(max_examples=150)
@given(st.lists(MOVES, min_size=MIN_MOVES, max_size=MAX_MOVES))
def test_no_window_is_ever_exceeded(
    moves: list[tuple[str, bytes | int, int]],
) -> None:
    """Whatever is asked for in whatever order, what left and what is held stay within the limit."""
    storm = Storm()
    for move in moves:
        storm.move(*move)
        storm.check()
