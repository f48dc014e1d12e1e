"""Judge a decline by how things were at its very key."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any
from uuid import UUID

from guilder.events.v1 import record_pb2 as events
from tests.simulation.known import Known
from tests.simulation.order import Order
from tests.simulation.purse import CLOSED, Purse, stopped
from tests.simulation.replay import Decision, Replay

Told = Mapping[str, str]
LOOSE = frozenset({"PostTransaction", "BatchExecute", "ReverseTransaction"})
"""What moves several times: a limit of one of its wallets may be met in the midst of it."""
ENDED = {
    "HOLD_CAPTURED": events.HOLD_STATE_CAPTURED,
    "HOLD_VOIDED": events.HOLD_STATE_VOIDED,
    "HOLD_EXPIRED": events.HOLD_STATE_EXPIRED,
}
EMPTY_PURSE = ("WALLET_NOT_EMPTY", "WALLET_HAS_OPEN_INTENTS", "OVERDRAFT_IN_USE")
LIMITS = {
    "TRANSACTION_LIMIT": "max_transaction",
    "BALANCE_BELOW_MINIMUM": "min_balance",
    "BALANCE_ABOVE_MAXIMUM": "max_balance",
    "VELOCITY_LIMIT": "velocity",
}


class Declines:
    """The judge of one shard's declines, at the moment to which its replay has come."""

    def __init__(self, replay: Replay, everywhere: Mapping[str, Known], statuses: Any) -> None:  # noqa: ANN401  # sets by wallet
        """Take the replay, and what is known of all wallets on all shards."""
        self._replay = replay
        self._everywhere = everywhere
        self._statuses = statuses

    def faults(self, decision: Decision) -> Iterable[str]:
        """Say so if a decline contradicts the records."""
        order = decision.order
        if order is None or not order.bad:
            return
        for reply in order.bad:
            if reply.reason == "IDEMPOTENCY_KEY_REUSED":
                continue
            if not self._right(order, decision, reply.reason, reply.metadata):
                name = f"{order.method} {order.key}"
                yield f"{name} was declined with {reply.reason} {dict(reply.metadata)}"

    def _right(self, order: Order, decision: Decision, reason: str, told: Told) -> bool:
        one, before = order, order.parts[:0]
        if order.parts:
            at = int(told["failed_index"])
            one, before = order.parts[at], order.parts[:at]
        if reason in ENDED or reason.startswith("HOLD_"):
            return self._hold(one, decision, reason, told)
        if reason in {"REVERSAL_EXCEEDS_ORIGINAL", "TRANSACTION_REVERSED"}:
            return self._reversed(one, reason, told)
        if reason in {"TRANSACTION_PROCESSING", "TRANSACTION_RETURNED"}:
            return self._leg(one, reason)
        if reason == "CURRENCY_MISMATCH":
            return self._everywhere[told["wallet_id"]].currency != told["amount_currency"]
        if reason == "MULTI_SHARD_DEBIT":
            away = self._everywhere[told["wallet_id"]].shard != decision.shard
            return away and any(line.source == told["wallet_id"] for line in one.lines)
        if reason in {"ACCOUNT_FROZEN", "ACCOUNT_NOT_FROZEN"} and "account_id" in told:
            return self._account(one, reason)
        wallet = told["wallet_id"]
        if self._everywhere[wallet].shard != decision.shard:
            # What is known of another shard may be some moments old.
            return self._once(wallet, reason)
        judge = self._judge(reason)
        moments = self._replay.moments(UUID(wallet).bytes)
        return any(judge(one, before, moment, told) for moment in moments)

    def _judge(self, reason: str) -> Callable[[Order, tuple[Order, ...], Purse, Told], bool]:
        if reason == "INSUFFICIENT_FUNDS":
            return self._short
        if reason in LIMITS:
            return lambda *args: self._limited(reason, *args)
        if reason in EMPTY_PURSE:
            return lambda _one, _before, moment, told: _in_use(reason, moment, told)
        return lambda one, _, moment, told: _stopped(one, reason, moment, told["wallet_id"])

    def _once(self, wallet: str, reason: str) -> bool:
        seen = self._statuses[wallet]
        if reason == "WALLET_CLOSED":
            return (CLOSED, 0) in seen or any(status == CLOSED for status, _ in seen)
        return any(stopped(Purse(status=s, freeze=f), debit=False) == reason for s, f in seen)

    def _account(self, order: Order, reason: str) -> bool:
        freeze = self._replay.accounts.get(order.scope, 0)
        if reason == "ACCOUNT_NOT_FROZEN":
            return freeze == 0
        return freeze == int(order.request.scope)

    def _hold(self, order: Order, decision: Decision, reason: str, told: Told) -> bool:
        if order.method == "Authorize":
            asked = _micros(order.request.expire_time)
            return reason == "HOLD_EXPIRE_TIME" and asked <= decision.time_us
        hold = self._replay.holds.get(UUID(order.request.hold_id).bytes)
        if hold is None:
            return False
        over = decision.time_us >= hold.expire_time_us
        if reason in ENDED:
            ended = hold.state == ENDED[reason]
            late = reason == "HOLD_EXPIRED" and hold.state == events.HOLD_STATE_AUTHORIZED and over
            return ended or late
        if over or hold.state != events.HOLD_STATE_AUTHORIZED:
            return False
        if reason == "HOLD_EXPIRE_TIME":
            return _micros(order.request.expire_time) <= hold.expire_time_us
        if reason == "HOLD_DESTINATION_MISMATCH":
            meant = UUID(order.request.destination_wallet_id).bytes
            return self._replay.destinations[hold.hold_id] != meant
        limits = self._replay.purses[hold.wallet_id].limits
        percent = limits.get("over_capture_percent", 0)
        allowed = hold.authorized_minor * (100 + percent) // 100 - hold.captured_minor
        asked = order.request.amount.amount_minor
        numbers = (int(told["limit"]), int(told["requested"]))
        return reason == "HOLD_OVER_CAPTURE" and numbers == (allowed, asked) and asked > allowed

    def _reversed(self, order: Order, reason: str, told: Told) -> bool:
        original = UUID(order.request.transaction_id).bytes
        whole = sum(line.amount for line in self._original(order))
        left = whole - self._replay.reversed[original]
        if reason == "TRANSACTION_REVERSED":
            return bool(left == 0)
        asked = order.request.amount.amount_minor
        # What comes back in the same record may have come before this key, or not.
        most = left + self._replay.bounced[original]
        remaining = int(told["remaining"])
        required = int(told["required"])
        return bool(left <= remaining <= most and required == asked > remaining > 0)

    def _original(self, order: Order) -> Any:  # noqa: ANN401  # lines
        assert order.original is not None
        return order.original.lines

    def _leg(self, order: Order, reason: str) -> bool:
        """Its leg had not landed, or has come back; one in the same record may be either."""
        original = UUID(order.request.transaction_id).bytes
        replay = self._replay
        before = [result for (tx, _), result in replay.landed.items() if tx == original]
        now = [result for (tx, _), result in replay.landing.items() if tx == original]
        if reason == "TRANSACTION_RETURNED":
            return events.LEG_RESULT_RETURNED in [*before, *now]
        return len(before) < len(self._original(order))

    def _short(self, order: Order, before: tuple[Order, ...], moment: Purse, told: Told) -> bool:
        """Tell whether a wallet had what the decline says, and too little, at some point of it."""
        wallet, available, required = told["wallet_id"], moment.available, int(told["required"])
        for part in before:
            changed = _available_change(part, wallet)
            if changed is None:
                return True
            available += changed
        for asked, gained in self._needs(order, wallet):
            if asked == required and int(told["available"]) == available < required:
                return True
            available += gained - asked
        return False

    def _needs(self, order: Order, wallet: str) -> Iterable[tuple[int, int]]:
        """Yield what each line of an order asks of a wallet, and what it brings it."""
        if order.method in {"Authorize", "IncrementHold"}:
            yield order.request.amount.amount_minor, 0
            return
        if order.method == "CaptureHold":
            hold = self._replay.holds[UUID(order.request.hold_id).bytes]
            left = hold.authorized_minor - hold.captured_minor - hold.released_minor
            yield order.lines[0].amount - left, 0
            return
        for line in order.lines:
            amount = line.amount
            if not amount:
                original = UUID(order.request.transaction_id).bytes
                whole = sum(line.amount for line in self._original(order))
                amount = whole - self._replay.reversed[original]
            if line.source == wallet:
                yield amount, 0
            elif line.destination == wallet:
                yield 0, amount

    def _limited(
        self, reason: str, order: Order, before: tuple[Order, ...], moment: Purse, told: Told
    ) -> bool:
        """Tell whether there was such a limit, and for a single movement: whether it was met."""
        limit: Any = moment.limits.get(LIMITS[reason])
        if limit is None:
            return False
        if before or order.method in LOOSE:
            return True
        if reason == "VELOCITY_LIMIT":
            return self._velocity(limit, moment, told)
        requested = int(told["requested"])
        if int(told["limit"]) != limit:
            return False
        if reason == "TRANSACTION_LIMIT":
            return requested > int(limit)
        standing = int(told["balance"])
        if reason == "BALANCE_ABOVE_MAXIMUM":
            return standing == moment.posted and standing + requested > limit
        return standing == moment.posted - moment.held and standing - requested < limit

    def _velocity(self, limits: Any, moment: Purse, told: Told) -> bool:  # noqa: ANN401  # JSON
        now_us = self._replay.time_us
        spent = moment.used(told["window"], now_us)
        measure = "max_amount" if told["measure"] == "AMOUNT" else "max_count"
        most = next(
            limit[measure]
            for limit in limits
            if (limit["window"], limit["basis"]) == (told["window"], told["basis"])
        )
        if measure == "max_count":
            used = {spent.received if told["basis"] == "CREDITS" else spent.begun}
        elif told["basis"] == "CREDITS":
            used = {spent.credits}
        elif told["basis"] == "DEBITS":
            used = {spent.debits + moment.held}
        else:
            used = {spent.net + moment.held, max(spent.net, 0) + moment.held}
        said = int(told["used"])
        met = said + int(told["requested"]) > most
        return said in used and met and int(told["limit"]) == most


def _available_change(part: Order, wallet: str) -> int | None:
    """Return what a command of a batch does to a wallet's available; None: nobody knows here."""
    if part.method == "VoidHold" and part.scope == wallet:
        return None
    if part.method == "Authorize":
        return -part.request.amount.amount_minor if part.scope == wallet else 0
    if part.method == "CaptureHold":
        if wallet in {part.lines[0].source, part.lines[0].destination}:
            return None
        return 0
    gained = sum(line.amount for line in part.lines if line.destination == wallet)
    return gained - sum(line.amount for line in part.lines if line.source == wallet)


def _in_use(reason: str, moment: Purse, told: Told) -> bool:
    if reason == "OVERDRAFT_IN_USE":
        used = moment.held - moment.posted
        return used == int(told["used"]) > int(told["requested"])
    empty = (moment.posted, moment.held) == (0, 0)
    return empty == (reason == "WALLET_HAS_OPEN_INTENTS")


def _stopped(order: Order, reason: str, moment: Purse, wallet: str) -> bool:
    """Tell whether a wallet's state was what a decline says of it."""
    if order.method == "UnfreezeWallet":
        return reason == ("WALLET_CLOSED" if moment.status == CLOSED else "WALLET_NOT_FROZEN") and (
            moment.status in {1, CLOSED}
        )
    if order.method == "FreezeWallet" and reason == "WALLET_FROZEN":
        return moment.status == (2 if order.request.scope != 1 else 4)
    if order.method in {"FreezeWallet", "CloseWallet", "SetWalletLimits", "ExtendHold", "VoidHold"}:
        return reason == "WALLET_CLOSED" and moment.status == CLOSED
    pays = (
        order.scope == wallet
        if not order.lines
        else any(line.source == wallet for line in order.lines)
    )
    paid = any(line.destination == wallet for line in order.lines)
    if order.method == "Authorize":
        pays, paid = wallet == order.scope, wallet != order.scope
    return (pays and stopped(moment, debit=True) == reason) or (
        paid and stopped(moment, debit=False) == reason
    )


def _micros(stamp: Any) -> int:  # noqa: ANN401  # a Timestamp
    return int(stamp.seconds) * 1_000_000 + int(stamp.nanos) // 1000
