"""Judge every answer of a simulation by what the shards' records tell.

Shares no code with the wallet service: the records are replayed in order, key by key, so that each
decline is judged by how things were at its very moment, and each success by its very record.
"""

import hashlib
import struct
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from uuid import UUID

from tests.simulation import hold_rules, rows, successes
from tests.simulation.books import ShardBooks
from tests.simulation.declines import Declines
from tests.simulation.known import Known
from tests.simulation.order import DOUBTFUL, Order, Reply
from tests.simulation.replay import ACCOUNTS, Decision, Replay

NOT_KEPT = {
    "WALLET_NOT_FOUND",
    "HOLD_NOT_FOUND",
    "TRANSACTION_NOT_FOUND",
    "ACCOUNT_NOT_FOUND",
    "TRANSACTION_NOT_REVERSIBLE",
}
REUSED = "IDEMPOTENCY_KEY_REUSED"


@dataclass(slots=True)
class Auditor:
    """The records of all shards, by key and reference."""

    shards: Sequence[ShardBooks]
    orders: dict[bytes, Order] = field(default_factory=dict)
    decisions: dict[bytes, Decision] = field(default_factory=dict)
    made: dict[str, int] = field(default_factory=Counter)
    wallets: dict[str, Known] = field(default_factory=dict)
    statuses: dict[str, set[tuple[int, int]]] = field(default_factory=lambda: defaultdict(set))
    replays: list[Replay] = field(default_factory=list)
    found: list[str] = field(default_factory=list)

    def judge(self, orders: Sequence[Order]) -> list[str]:
        """Return a sentence for each answer or record that contradicts the others."""
        self._name(orders)
        self._wallets()
        for shard in self.shards:
            self._replay(shard)
        for order in orders:
            self.found += self._replies(order)
            self.found += self._together(order)
        moving = [one for order in orders for one in (order, *order.parts) if one.lines]
        expected = {order.key for order in moving if order.spoils is None}
        for reference, count in self.made.items():
            if count != 1 or reference not in expected:
                self.found.append(f"{reference} was made {count} times")
        self.found += self._reversals()
        for replay in self.replays:
            transactions = list(replay.books.made.values())
            self.found += hold_rules.sum_faults(replay.holds, transactions)
            self.found += rows.faults(replay)
        return self.found

    def _name(self, orders: Iterable[Order]) -> None:
        """Find the order of each key; of two with one key, the one that has decided it."""
        for order in orders:
            key_hash = _key_hash(order)
            known = self.orders.get(key_hash)
            if known is None or (_decided(order) and not _decided(known)):
                self.orders[key_hash] = order
            for place, part in enumerate(order.parts):
                self.orders[_part_hash(key_hash, place)] = part

    def _wallets(self) -> None:
        for record in chain.from_iterable(shard.records for shard in self.shards):
            for change in record.wallet_changes:
                wallet = str(UUID(bytes=change.wallet_id))
                self.statuses[wallet].add((change.status, change.account_freeze))
                if change.currency_code:
                    known = Known(wallet, change.account_id, change.currency_code)
                    self.wallets[wallet] = known

    def _replay(self, shard: ShardBooks) -> None:
        sent = {place: leg for one in self.shards for place, leg in one.opened.items()}
        replay = Replay(shard, self.orders, sent)
        declines = Declines(replay, self.wallets, self.statuses)
        hashes = chain.from_iterable(record.keys for record in shard.records)
        for key, decision in zip(hashes, replay.decisions(), strict=True):
            if key.key_hash in self.decisions:
                self.found.append(
                    f"a key was decided twice, again in {shard.number}/{decision.seq}"
                )
            self.decisions[key.key_hash] = decision
            self.found += declines.faults(decision)
        for made in shard.made.values():
            self.made[made.reference.decode()] += 1
        self.found += replay.found
        self.replays.append(replay)

    def _replies(self, order: Order) -> Iterable[str]:
        name = f"{order.method} {order.key}"
        good, bad = order.good, {reply.reason for reply in order.bad}
        decision = self.decisions.get(_key_hash(order))
        if "INTERNAL" in bad or len(bad) + bool(good) > 1:
            yield f"{name} got {bad} and {len(good)} successes"
        if not order.final:
            yield f"{name} got no final answer"
        if order.spoils is not None:
            yield from self._spoiled(order, bad, decision)
            return
        if good:
            yield from self._success(name, order, decision)
        for reason in bad:
            yield from self._decline(name, order, reason, decision)
        makers = [r for r in order.replies if r.reason in DOUBTFUL or _first(order, r)]
        if decision is not None and not bad and not makers:
            yield f"{name} was done by a call that was told that nothing was changed"

    def _spoiled(self, order: Order, bad: set[str], decision: Decision | None) -> Iterable[str]:
        """A decided key refuses another request; an undecided one may be taken by it."""
        first = order.spoils
        assert first is not None
        refused = {reply.reason for reply in first.replies} & NOT_KEPT
        if decision is not None and not refused and bad != {REUSED}:
            yield f"{order.key} was used for another request, and got {bad}"

    def _success(self, name: str, order: Order, decision: Decision | None) -> Iterable[str]:
        if decision is None:
            yield f"{name} was acknowledged, but no record has its key"
            return
        if sum(_first(order, reply) for reply in order.good) > 1:
            yield f"{name} was made twice by its answers"
        replay = self.replays[decision.shard]
        for reply in order.good:
            for one, message in successes.messages(order, reply):
                mine = self.decisions.get(self._hash_of(order, one))
                if mine is None:
                    yield f"{name} has a part that no record has: {one.method} {one.key}"
                else:
                    yield from successes.faults(one, message, mine, replay)

    def _decline(
        self, name: str, order: Order, reason: str, decision: Decision | None
    ) -> Iterable[str]:
        if (decision is None) != (reason in NOT_KEPT):
            yield f"{name} was declined with {reason}; kept: {decision is not None}"
        if decision is not None and decision.changes:
            yield f"{name} was declined with {reason}, and made"
        if reason in NOT_KEPT and not self._missing(order, reason):
            yield f"{name} was declined with {reason}"

    def _missing(self, order: Order, reason: str) -> bool:
        """Tell whether what a decline does not know is nowhere; INTERNAL and others never are."""
        if reason == "WALLET_NOT_FOUND":
            return all(reply.metadata["wallet_id"] not in self.wallets for reply in order.bad)
        if reason == "HOLD_NOT_FOUND":
            hold_ids = {UUID(reply.metadata["hold_id"]).bytes for reply in order.bad}
            return not any(hold_ids & replay.holds.keys() for replay in self.replays)
        original = order.original
        return reason == "TRANSACTION_NOT_REVERSIBLE" and (
            original is not None and original.method == "ReverseTransaction"
        )

    def _together(self, order: Order) -> Iterable[str]:
        """An atomic batch is one record, or none."""
        if not order.parts:
            return
        keys = [_key_hash(order)]
        keys += [_part_hash(keys[0], place) for place in range(len(order.parts))]
        found = [self.decisions[key] for key in keys if key in self.decisions]
        places = {(decision.shard, decision.seq) for decision in found}
        if order.good and (len(found) != len(keys) or len(places) != 1):
            yield f"BatchExecute {order.key} is in {len(places)} records, with {len(found)} keys"
        if order.bad and len(found) > 1:
            yield f"BatchExecute {order.key} was declined, and parts of it are there"

    def _reversals(self) -> Iterable[str]:
        """Over all shards no more goes back than was moved."""
        whole: Counter[bytes] = Counter()
        back: Counter[bytes] = Counter()
        for replay in self.replays:
            back.update(replay.reversed)
            for tx_id, made in replay.books.made.items():
                whole[tx_id] += sum(posting.amount_minor for posting in made.postings)
        for tx_id, amount in back.items():
            if amount > whole[tx_id]:
                yield f"{amount} of {whole[tx_id]} went back of {tx_id.hex()}"

    def _hash_of(self, order: Order, one: Order) -> bytes:
        if one is order:
            return _key_hash(order)
        return _part_hash(_key_hash(order), order.parts.index(one))


def _decided(order: Order) -> bool:
    """Tell whether an order's key was decided by it, by its answers."""
    return bool(order.good) or bool({reply.reason for reply in order.bad} - NOT_KEPT - {REUSED})


def _first(order: Order, reply: Reply) -> bool:
    """Tell whether this is the answer of the call that made it."""
    if reply.reason:
        return False
    return not any(message.replayed for one, message in successes.messages(order, reply) if one.key)


def _key_hash(order: Order) -> bytes:
    """Name a key as the records do: 16 bytes of SHA-256 over client, scope and key."""
    scope = order.scope.encode()
    if order.method not in {"CreateWallet", *ACCOUNTS}:
        scope = UUID(order.scope).bytes
    return _hash(b"", scope, order.key.encode())


def _part_hash(batch: bytes, place: int) -> bytes:
    """Name the key of one command of a batch, which is made of the batch's."""
    return _hash(batch, struct.pack(">q", place))


def _hash(*parts: bytes) -> bytes:
    joined = b"".join([len(part).to_bytes(4, "big") + part for part in parts])
    return hashlib.sha256(joined).digest()[:16]
