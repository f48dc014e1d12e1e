"""Judge a success by its very record: ids, numbers, postings, and every balance that it tells."""

from collections.abc import Iterable, Iterator
from typing import Any
from uuid import UUID

from guilder.events.v1 import record_pb2 as events
from tests.simulation.order import Line, Order, Reply
from tests.simulation.replay import ACCOUNTS, Decision, Replay

TYPES = {
    "Deposit": events.TRANSACTION_TYPE_DEPOSIT,
    "Withdraw": events.TRANSACTION_TYPE_WITHDRAWAL,
    "Transfer": events.TRANSACTION_TYPE_TRANSFER,
    "CaptureHold": events.TRANSACTION_TYPE_CAPTURE,
    "ReverseTransaction": events.TRANSACTION_TYPE_REVERSAL,
    "PostTransaction": events.TRANSACTION_TYPE_POSTING,
}
SYSTEM = {"": 1, "sys:fees": 2, "sys:exchange": 3, "transit": 4}
COMPLETED, RETURNED = events.TRANSACTION_STATE_COMPLETED, events.TRANSACTION_STATE_RETURNED


def messages(order: Order, reply: Reply) -> Iterator[tuple[Order, Any]]:
    """Yield each order with its own answer: of a batch, its parts."""
    if not order.parts:
        yield order, reply.message
        return
    for part, result in zip(order.parts, reply.message.results, strict=True):
        yield part, getattr(result, result.WhichOneof("result"))


def faults(order: Order, message: Any, decision: Decision, replay: Replay) -> Iterable[str]:  # noqa: ANN401  # any reply
    """Say what an answer tells otherwise than its record."""
    name = f"{order.method} {order.key}"
    if message.position.shard != decision.shard:
        yield f"{name} is on shard {decision.shard}, its answer says {message.position.shard}"
    if message.position.seq < decision.seq:
        yield f"{name} was answered with a position before its record"
    if order.method in ACCOUNTS:
        if message.wallets != len(decision.changes):
            yield f"{name} says {message.wallets} wallets, {len(decision.changes)} changed"
        return
    yield from _balances(name, message, decision, replay)
    if "hold" in message.DESCRIPTOR.fields_by_name:
        yield from _hold(name, order, message.hold, decision)
    if order.lines:
        yield from _movement(name, order, message.transaction, decision, replay)
    elif decision.transaction is not None:
        yield f"{name} moved money"


def _balances(name: str, message: Any, decision: Decision, replay: Replay) -> Iterable[str]:  # noqa: ANN401
    """Each wallet that it changed is told with its last version, and no other."""
    told = {}
    fields = message.DESCRIPTOR.fields_by_name
    single = [f for f in ("balance", "source_balance", "destination_balance") if f in fields]
    balances = [getattr(message, field) for field in single if message.HasField(field)]
    for balance in [*balances, *(message.balances if "balances" in fields else ())]:
        numbers = (balance.posted_minor, balance.held_minor, balance.overdraft_limit_minor)
        told[UUID(balance.wallet_id).bytes] = (balance.version, *numbers)
        if balance.available_minor != numbers[0] - numbers[1] + numbers[2]:
            yield f"{name} was answered with another available balance than its parts give"
    last: dict[bytes, int] = {}
    for change in decision.changes:
        last[change.wallet] = max(change.version, last.get(change.wallet, 0))
    kept = {wallet: (version, *replay.history[wallet, version]) for wallet, version in last.items()}
    if told != kept:
        yield f"{name} was answered with balances {told}, its record has {kept}"


def _hold(name: str, order: Order, told: Any, decision: Decision) -> Iterable[str]:  # noqa: ANN401
    """The hold is told as this very change left it."""
    holds = [change.hold for change in decision.changes if change.hold is not None]
    if not holds:
        yield f"{name} was acknowledged, and no record has its change"
        return
    kept = holds[-1]
    yield from _asked(name, order, decision, kept)
    if order.method != "Authorize" and kept.hold_id != UUID(order.request.hold_id).bytes:
        yield f"{name} changed another hold"
    numbers = (told.state, told.authorized_minor, told.captured_minor, told.released_minor)
    expires = _micros(told.expire_time)
    expected = (kept.state, kept.authorized_minor, kept.captured_minor, kept.released_minor)
    if (*numbers, expires) != (*expected, kept.expire_time_us):
        yield f"{name} was answered with hold {numbers}, its record has {expected}"
    if told.open_minor != numbers[1] - numbers[2] - numbers[3]:
        yield f"{name} was answered with {told.open_minor} open"
    if UUID(told.hold_id).bytes != kept.hold_id:
        yield f"{name} was answered with another hold"


def _asked(name: str, order: Order, decision: Decision, kept: events.HoldChange) -> Iterable[str]:
    """The hold was changed by what was asked for, and no more."""
    before = next(change.before for change in decision.changes if change.hold is not None)
    asked = order.request
    expires = asked.expire_time if order.method in {"Authorize", "ExtendHold"} else None
    if expires is not None and expires.seconds and _micros(expires) != kept.expire_time_us:
        yield f"{name} ends at {kept.expire_time_us}"
    if order.method in {"Authorize", "IncrementHold"}:
        had = before.authorized_minor if before is not None else 0
        if kept.authorized_minor - had != asked.amount.amount_minor:
            yield f"{name} came to {kept.authorized_minor}, {had} before it"
    if order.method == "Authorize":
        meant = asked.destination_wallet_id
        if (UUID(meant).bytes if meant else b"") != kept.destination:
            yield f"{name} is for another wallet"
    if order.method == "CaptureHold":
        last = kept.state == events.HOLD_STATE_CAPTURED
        if (asked.final or not asked.HasField("amount")) and not last:
            yield f"{name} was to end its hold"
        if not asked.final and kept.released_minor:
            yield f"{name} released {kept.released_minor}"


def _movement(
    name: str,
    order: Order,
    told: Any,  # noqa: ANN401  # a Transaction of the API
    decision: Decision,
    replay: Replay,
) -> Iterable[str]:
    made = decision.transaction
    if made is None or UUID(bytes=made.transaction_id) != UUID(told.transaction_id):
        yield f"{name} was answered with another transaction"
        return
    lines = [line._replace(amount=line.amount or told.amount.amount_minor) for line in order.lines]
    first = lines[0]
    amount = (told.amount.amount_minor, told.amount.currency_code)
    if told.reference != order.key or amount != (first.amount, first.currency):
        yield f"{name} was answered with other contents"
    counts_us = _micros(order.request.effective_time)
    if (made.effective_time_us, _micros(told.effective_time)) != (counts_us, counts_us):
        yield f"{name} counts at {made.effective_time_us}, asked for was {counts_us}"
    if made.type != TYPES[order.method] or told.type != made.type:
        yield f"{name} made a transaction of type {made.type}"
    yield from _lines(name, lines, made, decision.shard)
    yield from _family(name, order, told, made)
    shown = [
        (posting.source_wallet_id, posting.destination_wallet_id, posting.amount.amount_minor)
        for posting in told.postings
    ]
    if shown and shown != [
        (_shown(line, line.source, decision), _shown(line, line.destination, decision), line.amount)
        for line in lines
    ]:
        yield f"{name} was answered with other postings: {shown}"
    if bool(shown) != (len(lines) > 1):
        yield f"{name} of {len(lines)} postings was answered with {len(shown)}"
    states: dict[bytes, int] = dict(replay.books.rows["transactions"])
    at_end = states.get(made.transaction_id)
    if told.state in {COMPLETED, RETURNED} and told.state != at_end:
        yield f"{name} was answered as {told.state}, and ended as {at_end}"


def _lines(name: str, lines: list[Line], made: events.Transaction, shard: int) -> Iterable[str]:
    """All postings are in the one record: at home, or with an intent of the line's number."""
    intents = {intent.leg: intent for intent in made.intents}
    expected = []
    for leg, line in enumerate(lines):
        destination = _side(line.destination, line, shard)
        if leg in intents:
            intent = intents.pop(leg)
            meant = (destination, line.currency, line.amount)
            if (intent.destination, intent.currency_code, intent.amount_minor) != meant:
                yield f"{name} sent something else to another shard"
            destination = _side("transit", line, shard)
        source = _side(line.source, line, shard)
        expected.append((source, destination, line.currency, line.amount))
    found = [
        (posting.source, posting.destination, posting.currency_code, posting.amount_minor)
        for posting in made.postings
    ]
    if found != expected or intents:
        yield f"{name} moved {found}, {expected} was asked for, {len(intents)} intents are too many"


def _family(name: str, order: Order, told: Any, made: events.Transaction) -> Iterable[str]:  # noqa: ANN401
    parent = ""
    if order.method == "CaptureHold":
        parent = order.request.hold_id
    elif order.original is not None:
        parent = order.original.tx_id
    kept = (made.parent_id, made.family_id)
    shown = tuple(UUID(text).bytes if text else b"" for text in (told.parent_id, told.family_id))
    if (UUID(parent).bytes if parent else b"") != made.parent_id or shown != kept:
        yield f"{name} is in another family than it should be: {shown}"


def _side(side: str, line: Line, shard: int) -> bytes:
    kind = SYSTEM.get(side)
    if kind is None:
        return UUID(side).bytes
    return bytes((0, kind)) + shard.to_bytes(2, "big") + line.currency.encode().ljust(12, b"\0")


def _shown(line: Line, side: str, decision: Decision) -> str:
    if side not in SYSTEM:
        return side
    kind = side.removeprefix("sys:") or "world"
    return f"sys:{decision.shard}:{kind}:{line.currency}"


def _micros(stamp: Any) -> int:  # noqa: ANN401  # a Timestamp
    return int(stamp.seconds) * 1_000_000 + int(stamp.nanos) // 1000
