"""Judge every answer of a simulation by what the shards' records tell.

Shares no code with the wallet service: the records are replayed in order, key by key, so that each
decline is judged by the balance of its very moment, and each success by its very record.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from guilder.events.v1 import record_pb2 as events
from tests.simulation.books import ShardBooks
from tests.simulation.clients import final
from tests.simulation.orders import DOUBTFUL, TRANSIENT, Order, Reply

ACTIVE, FROZEN, CLOSED = 1, 2, 3
NOT_KEPT = {"WALLET_NOT_FOUND"}
MOVEMENTS = ("Transfer", "Deposit", "Withdraw")


@dataclass(slots=True)
class Decision:
    """What the records keep of one key."""

    shard: int
    seq: int
    ref: bytes
    transaction: events.Transaction | None
    lowest: dict[bytes, int]
    """Posted balances at this key, before and with all credits that came in the same record."""
    highest: dict[bytes, int]


@dataclass(slots=True)
class Auditor:
    """The records of all shards, by key, reference and wallet."""

    shards: Sequence[ShardBooks]
    decisions: dict[bytes, Decision] = field(default_factory=dict)
    made: dict[str, list[Decision]] = field(default_factory=lambda: defaultdict(list))
    statuses: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))
    currencies: dict[str, str] = field(default_factory=dict)
    found: list[str] = field(default_factory=list)

    def judge(self, orders: Sequence[Order]) -> list[str]:
        """Return a sentence for each answer that the records contradict."""
        for shard in self.shards:
            self._replay(shard)
        by_key: dict[tuple[str, str], list[Order]] = defaultdict(list)
        for order in orders:
            by_key[order.scope, order.key].append(order)
            self.found += self._replies(order)
        expected = {
            order.key for order in orders if order.method in MOVEMENTS and order.spoils is None
        }
        for reference, decisions in self.made.items():
            if len(decisions) != 1 or reference not in expected:
                self.found.append(f"{reference} was made {len(decisions)} times")
        return self.found

    def _replay(self, shard: ShardBooks) -> None:
        posted: Counter[bytes] = Counter()
        for seq, record in enumerate(shard.records, start=1):
            made = {made.transaction_id: made for made in record.transactions}
            credits_: Counter[bytes] = Counter()
            for leg in record.landed_legs:
                for posting in leg.postings:
                    credits_[posting.destination] += posting.amount_minor
                    credits_[posting.source] -= posting.amount_minor
            for key in record.keys:
                if key.key_hash in self.decisions:
                    self.found.append(f"a key was decided twice, again in {shard.number}/{seq}")
                highest = {wallet: posted[wallet] + credits_[wallet] for wallet in credits_}
                decision = Decision(
                    shard.number, seq, key.ref, made.get(key.ref), dict(posted), highest
                )
                self.decisions[key.key_hash] = decision
                if decision.transaction is not None:
                    self.made[decision.transaction.reference.decode()].append(decision)
                    _apply(posted, decision.transaction.postings)
            posted.update(credits_)
            self._wallets(record.wallet_changes)

    def _wallets(self, changes: Iterable[events.WalletChange]) -> None:
        for change in changes:
            wallet = str(UUID(bytes=change.wallet_id))
            self.statuses[wallet].add(change.status)
            if change.currency_code:
                self.currencies[wallet] = change.currency_code

    def _replies(self, order: Order) -> Iterable[str]:
        name = f"{order.method} {order.key}"
        good = [reply for reply in order.replies if not reply.reason]
        bad = {reply.reason for reply in order.replies if reply.reason not in {*TRANSIENT, ""}}
        decision = self.decisions.get(_key_hash(order))
        if "INTERNAL" in bad or len(bad) + bool(good) > 1:
            yield f"{name} got {bad} and {len(good)} successes"
        if not final(order):
            yield f"{name} got no final answer"
        if order.spoils is not None:
            yield from self._spoiled(order, bad, decision)
            return
        if good:
            yield from self._success(name, order, good, decision)
        for reply in order.replies:
            if reply.reason not in {*TRANSIENT, ""}:
                yield from self._decline(name, order, reply, decision)
        makers = [r for r in order.replies if r.reason in DOUBTFUL or _first(r)]
        if decision is not None and not bad and not makers:
            yield f"{name} was done by a call that was told that nothing was changed"

    def _spoiled(self, order: Order, bad: set[str], decision: Decision | None) -> Iterable[str]:
        """A decided key refuses another request; an undecided one may be taken by it."""
        first = order.spoils
        assert first is not None
        refused = {reply.reason for reply in first.replies} & NOT_KEPT
        if decision is not None and not refused and bad != {"IDEMPOTENCY_KEY_REUSED"}:
            yield f"{order.key} was used for another request, and got {bad}"

    def _success(
        self, name: str, order: Order, good: Sequence[Reply], decision: Decision | None
    ) -> Iterable[str]:
        if decision is None:
            yield f"{name} was acknowledged, but no record has its key"
            return
        if sum(not reply.message.replayed for reply in good) > 1:
            yield f"{name} was made twice by its answers"
        positions = {reply.message.position.shard for reply in good}
        if positions != {decision.shard}:
            yield f"{name} is on shard {decision.shard}, its answers say {positions}"
        if min(reply.message.position.seq for reply in good) < decision.seq:
            yield f"{name} was answered with a position before its record"
        if order.method in MOVEMENTS:
            for reply in good:
                yield from self._movement(name, order, reply, decision)
        elif len({reply.message.balance.SerializeToString() for reply in good}) != 1:
            yield f"{name} got different answers"

    def _movement(self, name: str, order: Order, reply: Reply, decision: Decision) -> Iterable[str]:
        made, told, asked = decision.transaction, reply.message.transaction, order.request
        if made is None or UUID(bytes=made.transaction_id) != UUID(told.transaction_id):
            yield f"{name} was answered with another transaction"
            return
        if told.reference != order.key or told.amount != asked.amount:
            yield f"{name} was answered with other contents"
        posting = made.postings[0]
        if (posting.amount_minor, posting.currency_code) != (
            asked.amount.amount_minor,
            asked.amount.currency_code,
        ):
            yield f"{name} moved {posting.amount_minor} {posting.currency_code}"
        ends = {
            "Transfer": ("source_wallet_id", "destination_wallet_id"),
            "Deposit": ("", "wallet_id"),
            "Withdraw": ("wallet_id", ""),
        }[order.method]
        for end, wallet in zip(ends, (made.source, made.destination), strict=True):
            if end and UUID(bytes=wallet) != UUID(getattr(asked, end)):
                yield f"{name} moved money of another wallet"
        yield from _balances(name, reply, posting)

    def _decline(
        self, name: str, order: Order, reply: Reply, decision: Decision | None
    ) -> Iterable[str]:
        reason, told = reply.reason, reply.metadata
        if (decision is None) != (reason in NOT_KEPT):
            yield f"{name} was declined with {reason}; kept: {decision is not None}"
        if decision is not None and decision.transaction is not None:
            yield f"{name} was declined with {reason}, and made"
        wallet = told.get("wallet_id", "")
        statuses = self.statuses.get(wallet, set())
        right = {
            "WALLET_NOT_FOUND": not statuses,
            "WALLET_FROZEN": FROZEN in statuses,
            "WALLET_NOT_FROZEN": ACTIVE in statuses,
            "WALLET_CLOSED": CLOSED in statuses,
            "WALLET_NOT_EMPTY": True,
            "WALLET_HAS_OPEN_INTENTS": True,
            "CURRENCY_MISMATCH": self.currencies.get(wallet) != told.get("amount_currency"),
        }
        if reason == "INSUFFICIENT_FUNDS":
            right[reason] = decision is not None and _short(decision, order, told)
        if not right.get(reason, False):
            yield f"{name} was declined with {reason} {dict(told)}"


def _first(reply: Reply) -> bool:
    """Tell whether this is the answer of the call that made it."""
    return not reply.reason and not reply.message.replayed


def _short(decision: Decision, order: Order, told: Mapping[str, str]) -> bool:
    """Tell whether the wallet had, at this very key, what the decline says, and too little."""
    wallet = UUID(told["wallet_id"]).bytes
    available, required = int(told["available"]), int(told["required"])
    before = decision.lowest.get(wallet, 0)
    with_credits = decision.highest.get(wallet, before)
    return (
        required == order.request.amount.amount_minor
        and available < required
        and min(before, with_credits) <= available <= max(before, with_credits)
    )


def _balances(name: str, reply: Reply, posting: events.Posting) -> Iterable[str]:
    told = {}
    for balance in ("balance", "source_balance", "destination_balance"):
        if balance in reply.message.DESCRIPTOR.fields_by_name and reply.message.HasField(balance):
            value = getattr(reply.message, balance)
            told[UUID(value.wallet_id).bytes] = (value.posted_minor, value.version)
    kept = {
        posting.source: (posting.source_posted_after, posting.source_version),
        posting.destination: (posting.destination_posted_after, posting.destination_version),
    }
    customers = {wallet: after for wallet, after in kept.items() if wallet[0] != 0}
    if told != customers:
        yield f"{name} was answered with other balances than its record has"


def _apply(posted: Counter[bytes], postings: Iterable[events.Posting]) -> None:
    for posting in postings:
        posted[posting.source] -= posting.amount_minor
        posted[posting.destination] += posting.amount_minor


def _key_hash(order: Order) -> bytes:
    """Name a key as the records do: 16 bytes of SHA-256 over client, scope and key."""
    scope = order.scope.encode()
    if order.method != "CreateWallet":
        scope = UUID(order.scope).bytes
    parts = (b"", scope, order.key.encode())
    joined = b"".join([len(part).to_bytes(4, "big") + part for part in parts])
    return hashlib.sha256(joined).digest()[:16]
