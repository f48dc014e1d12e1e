"""Replay one shard's records key by key: whose each change is, and how things were before it.

Every change of a wallet has its next version, so their order is certain, and keys stand in the
order of their decisions. What has no key (legs that land, holds that expire) lies somewhere
between; so a decision without a change of its own has a few possible moments.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple
from uuid import UUID

from guilder.events.v1 import record_pb2 as events
from tests.simulation import hold_rules
from tests.simulation.books import RETURN_LEG, Leg, Place, ShardBooks
from tests.simulation.order import Order
from tests.simulation.purse import Purse, credit_faults, debit_faults

HOLD_KINDS = {
    "IncrementHold": events.HOLD_CHANGE_KIND_INCREMENTED,
    "ExtendHold": events.HOLD_CHANGE_KIND_EXTENDED,
    "VoidHold": events.HOLD_CHANGE_KIND_VOIDED,
}
SETTINGS = ("FreezeWallet", "UnfreezeWallet", "CloseWallet", "SetWalletLimits")
ACCOUNTS = ("FreezeAccount", "UnfreezeAccount")


class Standing(NamedTuple):
    """A wallet's numbers right after a version."""

    posted: int
    held: int
    overdraft: int


@dataclass(slots=True, eq=False)
class Change:
    """One version of one wallet: exactly one of the last three is given."""

    wallet: bytes
    version: int
    transaction: events.Transaction | None = None
    leg: events.LandedLeg | None = None
    posting: events.Posting | None = None
    hold: events.HoldChange | None = None
    setting: events.WalletChange | None = None
    claimed: bool = False
    before: events.HoldChange | None = None
    """The change of its hold before, once it is known."""
    makes_room: bool = False
    """Whether it is the part of a capture that goes beyond its hold."""

    @property
    def keyless(self) -> bool:
        """Whether nobody asked for it."""
        expired = self.hold is not None and self.hold.kind == events.HOLD_CHANGE_KIND_EXPIRED
        return self.leg is not None or expired


@dataclass(slots=True)
class Decision:
    """What the records keep of one key."""

    shard: int
    seq: int
    time_us: int
    ref: bytes
    order: Order | None
    transaction: events.Transaction | None
    changes: list[Change]


@dataclass(slots=True)
class Replay:
    """One shard, at the moment to which its records have been replayed."""

    books: ShardBooks
    orders: Mapping[bytes, Order]
    sent: Mapping[Place, Leg]
    """The legs of all shards."""
    purses: dict[bytes, Purse] = field(default_factory=lambda: defaultdict(Purse))
    holds: dict[bytes, events.HoldChange] = field(default_factory=dict)
    destinations: dict[bytes, bytes] = field(default_factory=dict)
    history: dict[tuple[bytes, int], Standing] = field(default_factory=dict)
    reversed: Counter[bytes] = field(default_factory=Counter)
    bounced: Counter[bytes] = field(default_factory=Counter)
    """What of originals the record of now gives back: reversals of theirs that could not land."""
    landed: dict[Place, int] = field(default_factory=dict)
    landing: dict[Place, int] = field(default_factory=dict)
    """Legs that land in the record of now: before or behind a key, nobody knows."""
    accounts: dict[str, int] = field(default_factory=dict)
    time_us: int = 0
    pending: dict[bytes, dict[int, Change]] = field(default_factory=dict)
    watched: dict[bytes, list[Purse]] = field(default_factory=dict)
    """How wallets were within the record of now that sent money back."""
    found: list[str] = field(default_factory=list)

    def decisions(self) -> Iterator[Decision]:
        """Yield each key as it is decided; what it changes is carried out behind that."""
        for seq, record in enumerate(self.books.records, start=1):
            self.time_us = record.time_us
            changes = list(_changes(record))
            self.pending = {change.wallet: {} for change in changes}
            for change in changes:
                self.pending[change.wallet][change.version] = change
            self.landing = {(leg.transaction_id, leg.leg): leg.result for leg in record.landed_legs}
            self.watched = {leg.destination: [] for leg in self._sent_back()}
            for wallet, seen in self.watched.items():
                seen.append(replace(self.purses[wallet]))
            made = {new.transaction_id: new for new in record.transactions}
            self.bounced = Counter()
            for original, amount in self._bounces(record.landed_legs):
                self.bounced[original] += amount
            for key in record.keys:
                order = self.orders.get(key.key_hash)
                claimed = list(self._claim(changes, key.ref, order))
                new = made.get(key.ref)
                yield Decision(self.books.number, seq, self.time_us, key.ref, order, new, claimed)
                for change in sorted(claimed, key=lambda change: change.version):
                    self._advance(change.wallet, change.version)
                if new is not None and new.type == events.TRANSACTION_TYPE_REVERSAL:
                    self.reversed[new.parent_id] += sum(p.amount_minor for p in new.postings)
                if order is not None and order.method in ACCOUNTS and order.good:
                    freezes = order.method == "FreezeAccount"
                    self.accounts[order.scope] = order.request.scope if freezes else 0
            self._rest(seq, changes)

    def moments(self, wallet: bytes) -> list[Purse]:
        """Return how a wallet may have been at the key of now."""
        if wallet not in self.purses:
            return []
        found = [replace(self.purses[wallet])]
        while True:
            change = self.pending.get(wallet, {}).get(found[-1].version + 1)
            if change is None or not change.keyless:
                return found
            purse = replace(found[-1])
            self._step(purse, change)
            found.append(purse)

    def _rest(self, seq: int, changes: Iterable[Change]) -> None:
        for wallet, versions in self.pending.items():
            self._advance(wallet, max(versions))
        for change in changes:
            if change.claimed == change.keyless:
                where = f"{self.books.number}/{seq}"
                self.found.append(f"a change of {change.wallet.hex()} in {where} has no key")
        for leg in self._sent_back():
            if not any(
                _refuses(purse, leg, self.time_us) for purse in self.watched[leg.destination]
            ):
                self.found.append(
                    f"{leg} went back from {self.books.number}/{seq} without a reason"
                )
        self.landed |= self.landing
        self.reversed -= self.bounced

    def _bounces(self, legs: Iterable[events.LandedLeg]) -> Iterator[tuple[bytes, int]]:
        """Return what comes back of reversals, by original; of several postings none is undone."""
        for leg in legs:
            new = self.books.made.get(leg.transaction_id)
            credited = leg.result == events.LEG_RESULT_CREDITED
            if leg.leg < RETURN_LEG or not credited or new is None or len(new.postings) != 1:
                continue
            if new.type == events.TRANSACTION_TYPE_REVERSAL:
                yield new.parent_id, leg.postings[0].amount_minor

    def _sent_back(self) -> list[Leg]:
        """Return the legs that could not land in the record of now; a return always can."""
        return [
            self.sent[place]
            for place, result in self.landing.items()
            if result == events.LEG_RESULT_RETURNED and place in self.sent
        ]

    def _claim(self, changes: list[Change], ref: bytes, order: Order | None) -> Iterator[Change]:
        """Find what a key has changed; what has no id of the key is taken in order."""
        for change in changes:
            if not change.claimed and self._by_id(change, ref):
                before = self.pending[change.wallet].get(change.version - 1)
                over = change.hold is not None and before is not None and not before.claimed
                if over and before is not None and _grows(before, change):
                    before.claimed = before.makes_room = True
                    yield before
                change.claimed = True
                yield change
        if order is None or not order.good:
            return
        wanted = self._wanted(order)
        for change in changes:
            if not change.claimed and not change.keyless and wanted.pop(_name(change), False):
                change.claimed = True
                yield change

    def _by_id(self, change: Change, ref: bytes) -> bool:
        if change.transaction is not None:
            return change.transaction.transaction_id == ref
        if change.hold is not None:
            made = change.hold.kind == events.HOLD_CHANGE_KIND_AUTHORIZED
            return ref == (change.hold.hold_id if made else change.hold.transaction_id)
        created = events.WALLET_CHANGE_KIND_CREATED
        return (
            change.setting is not None and change.setting.kind == created and ref == change.wallet
        )

    def _wanted(self, order: Order) -> dict[tuple[bytes, int], bool]:
        """Return what a successful order changes, each once: wallet or hold, and the kind."""
        if order.method in HOLD_KINDS:
            return {(UUID(order.request.hold_id).bytes, HOLD_KINDS[order.method]): True}
        if order.method in SETTINGS:
            return {(UUID(order.scope).bytes, 0): True}
        if order.method in ACCOUNTS:
            return {
                (wallet, 0): True
                for wallet, purse in self.purses.items()
                if purse.account == order.scope and purse.status != events.WALLET_STATUS_CLOSED
            }
        return {}

    def _advance(self, wallet: bytes, version: int) -> None:
        purse = self.purses[wallet]
        for at in sorted(v for v in self.pending[wallet] if purse.version < v <= version):
            change = self.pending[wallet][at]
            before = replace(purse)
            if change.hold is not None:
                change.before = self.holds.get(change.hold.hold_id)
            self._step(purse, change)
            if wallet in self.watched:
                self.watched[wallet].append(replace(purse))
            self.history[wallet, at] = Standing(purse.posted, purse.held, purse.overdraft)
            name = f"{wallet.hex()} at version {at}"
            self.found += [f"{name}: {fault}" for fault in self._faults(before, purse, change)]
            if change.hold is not None:
                self.holds[change.hold.hold_id] = change.hold
                if change.hold.kind == events.HOLD_CHANGE_KIND_AUTHORIZED:
                    self.destinations[change.hold.hold_id] = change.hold.destination

    def _step(self, purse: Purse, change: Change) -> None:
        """Bring a wallet to its next version."""
        purse.version = change.version
        if change.posting is not None:
            paid = change.posting.destination == change.wallet
            purse.move(change.posting.amount_minor * (1 if paid else -1), self.time_us)
            if not paid and change.transaction is not None and not _captures(change):
                purse.begin(self.time_us)
        elif change.hold is not None:
            purse.held = change.hold.held_after_minor
            if change.hold.kind == events.HOLD_CHANGE_KIND_AUTHORIZED:
                purse.begin(self.time_us)
        elif change.setting is not None:
            _set(purse, change.setting)

    def _faults(self, before: Purse, purse: Purse, change: Change) -> Iterable[str]:
        """Hold what has just happened to a wallet against its rules."""
        if change.hold is not None:
            old, capture = change.before, self._capture_of(change)
            yield from hold_rules.faults(change.hold, old, capture, self.time_us)
            yield from hold_rules.held_faults(change.hold, old, before.held)
            yield from self._hold_faults(purse, change, change.hold)
        elif change.posting is not None:
            amount = change.posting.amount_minor
            if change.posting.destination == change.wallet:
                if change.leg is None or change.leg.leg < RETURN_LEG:
                    local = change.leg is None
                    yield from credit_faults(purse, amount, self.time_us, local=local)
            elif change.leg is None and not _captures(change):
                yield from debit_faults(purse, amount, self.time_us)

    def _hold_faults(self, purse: Purse, change: Change, hold: events.HoldChange) -> Iterable[str]:
        old = change.before
        grown = hold.authorized_minor - (old.authorized_minor if old is not None else 0)
        if old is not None and change.makes_room:
            percent = purse.limits.get("over_capture_percent", 0)
            allowed = old.authorized_minor * (100 + percent) // 100
            if hold.authorized_minor - hold.released_minor > allowed:
                yield f"hold {hold.hold_id.hex()} was captured beyond {allowed}"
        if grown > 0:
            yield from debit_faults(
                purse,
                grown,
                self.time_us,
                reserved=hold.authorized_minor,
                counted=old is None,
            )
        elif hold.kind == events.HOLD_CHANGE_KIND_CAPTURED:
            # Its limits were those of the hold; its wallet must not be stopped now.
            free = replace(purse, limits={}, usage=())
            yield from debit_faults(free, 0, self.time_us)

    def _capture_of(self, change: Change) -> events.Transaction | None:
        """Return the transaction of a capture: it is posted by the wallet's next version."""
        behind = self.pending[change.wallet].get(change.version + 1)
        return behind.transaction if behind is not None else None


def _changes(record: events.Record) -> Iterator[Change]:
    for new in record.transactions:
        for posting in new.postings:
            yield from _sides(posting, transaction=new)
    for leg in record.landed_legs:
        for posting in leg.postings:
            yield from _sides(posting, leg=leg)
    for hold in record.hold_changes:
        yield Change(hold.wallet_id, hold.wallet_version, hold=hold)
    for setting in record.wallet_changes:
        yield Change(setting.wallet_id, setting.version, setting=setting)


def _sides(
    posting: events.Posting,
    *,
    transaction: events.Transaction | None = None,
    leg: events.LandedLeg | None = None,
) -> Iterator[Change]:
    for wallet, version in (
        (posting.source, posting.source_version),
        (posting.destination, posting.destination_version),
    ):
        if wallet[0] != 0:
            yield Change(wallet, version, transaction=transaction, leg=leg, posting=posting)


def _name(change: Change) -> tuple[bytes, int]:
    if change.hold is not None:
        return change.hold.hold_id, change.hold.kind
    return change.wallet, 0 if change.setting is not None else -1


def _grows(before: Change, capture: Change) -> bool:
    """Tell whether a change makes room for the capture right behind it."""
    assert capture.hold is not None
    return (
        before.hold is not None
        and before.hold.hold_id == capture.hold.hold_id
        and before.hold.kind == events.HOLD_CHANGE_KIND_INCREMENTED
        and capture.hold.kind == events.HOLD_CHANGE_KIND_CAPTURED
    )


def _captures(change: Change) -> bool:
    new = change.transaction
    return new is not None and new.type == events.TRANSACTION_TYPE_CAPTURE


def _refuses(purse: Purse, leg: Leg, now_us: int) -> bool:
    """Tell whether a wallet can't take an amount from another shard."""
    paid = replace(purse)
    paid.move(leg.amount, now_us)
    return any(credit_faults(paid, leg.amount, now_us, local=False))


def _set(purse: Purse, setting: events.WalletChange) -> None:
    purse.status, purse.freeze = setting.status, setting.account_freeze
    purse.overdraft = setting.overdraft_limit_minor
    if setting.kind == events.WALLET_CHANGE_KIND_CREATED:
        purse.account, purse.currency = setting.account_id, setting.currency_code
    elif setting.kind == events.WALLET_CHANGE_KIND_LIMITED:
        purse.limit(setting.limits)
    elif setting.kind == events.WALLET_CHANGE_KIND_CLOSED:
        purse.limit(b"")
