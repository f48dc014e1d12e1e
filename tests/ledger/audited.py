"""What the tests of the audit log share: shards with admin actions, and a model of the list."""

import random
from typing import Any, NamedTuple, cast

from guilder.events.v1 import record_pb2 as events
from guilder.ledger.v1 import audit_events_pb2 as api
from tests.ledger.running import Running
from tests.ledger.shards import SECOND_US, START_US, Shard
from walletkit.ids import format_id

FREEZE, UNFREEZE = events.AUDIT_ACTION_FREEZE_WALLET, events.AUDIT_ACTION_UNFREEZE_WALLET
ACTORS = ("ops-1", "ops-2", "")
ACCOUNTS = ("ann", "bob")


class Known(NamedTuple):
    """An event as a test wrote it; sorts as the list does, the other way round."""

    time_us: int
    shard: int
    seq: int
    n: int
    action: events.AuditAction.ValueType
    actor: str
    account_id: str
    wallet_id: str


def note(
    shard: Shard,
    action: events.AuditAction.ValueType,
    place: int,
    *,
    actor: str = "ops-1",
    reason: str = "",
    **more: Any,  # noqa: ANN401  # what was before
) -> events.AuditEvent:
    """Put an event beside its change in the batch."""
    return shard.batch.audit_events.add(
        action=action, place=place, actor=actor, reason=reason, request_id="call:1", **more
    )


def freeze(shard: Shard, wallet_id: bytes, actor: str = "ops-1") -> events.AuditEvent:
    """Freeze a wallet in the batch, with its event."""
    shard.change(wallet_id, events.WALLET_STATUS_FROZEN)
    return note(shard, FREEZE, len(shard.batch.wallet_changes) - 1, actor=actor)


class World:
    """Two shards with random admin actions among other traffic."""

    def __init__(self, rng: random.Random, records: int = 30) -> None:
        self.rng = rng
        self.shards = (Shard(0), Shard(1))
        self.known: list[Known] = []
        self.wallets = [
            (shard, shard.create(account_id=f"{name}{shard.number}"))
            for shard in self.shards
            for name in ACCOUNTS
            for _ in range(2)
        ]
        for shard in self.shards:
            shard.commit()
        for number in range(records):
            shard = rng.choice(self.shards)
            for _ in range(rng.randrange(4)):
                self.act(shard)
            # Shards' clocks may agree to the microsecond.
            time_us = START_US + (number // 2 + 2) * SECOND_US
            self.known = [event._replace(time_us=event.time_us or time_us) for event in self.known]
            shard.commit(time_us)

    def act(self, shard: Shard) -> None:
        """Freeze or unfreeze a wallet, or freeze an account as much as it is not."""
        actor = self.rng.choice(ACTORS)
        if self.rng.random() < 0.3:
            owner = f"{self.rng.choice(ACCOUNTS)}{shard.number}"
            frozen = shard.frozen.get(owner, events.ACCOUNT_FREEZE_UNSPECIFIED)
            after = events.ACCOUNT_FREEZE_UNSPECIFIED if frozen else events.ACCOUNT_FREEZE_ALL
            shard.freeze_account(owner, after)
            action = (
                events.AUDIT_ACTION_UNFREEZE_ACCOUNT
                if frozen
                else events.AUDIT_ACTION_FREEZE_ACCOUNT
            )
            place = len(shard.batch.account_changes) - 1
            note(shard, action, place, actor=actor, previous_account_freeze=frozen)
            self._know(shard, action, actor, owner, "")
            return
        wallet_id = self.rng.choice([id_ for where, id_ in self.wallets if where is shard])
        wallet = shard.wallets[wallet_id]
        active = wallet.status == events.WALLET_STATUS_ACTIVE
        shard.change(
            wallet_id, events.WALLET_STATUS_FROZEN if active else events.WALLET_STATUS_ACTIVE
        )
        action = FREEZE if active else UNFREEZE
        note(shard, action, len(shard.batch.wallet_changes) - 1, actor=actor)
        self._know(shard, action, actor, wallet.account_id, format_id(wallet_id))

    def _know(
        self,
        shard: Shard,
        action: events.AuditAction.ValueType,
        actor: str,
        account_id: str,
        wallet_id: str,
    ) -> None:
        n = len(shard.batch.audit_events) - 1
        seq = len(shard.records) + 1
        self.known.append(Known(0, shard.number, seq, n, action, actor, account_id, wallet_id))

    def expected(  # the request's filters
        self,
        *,
        start_us: int = 0,
        end_us: int = 2**62,
        actor: str = "",
        actions: tuple[int, ...] = (),
        wallet_id: str = "",
        account_id: str = "",
    ) -> list[Known]:
        """Return what a list must hold, newest first."""
        return [
            event
            for event in sorted(self.known, reverse=True)
            if start_us <= event.time_us < end_us
            and actor in ("", event.actor)
            and (not actions or event.action in actions)
            and wallet_id in ("", event.wallet_id)
            and account_id in ("", event.account_id)
        ]


async def page_of(
    running: Running,
    token: str = "",
    size: int = 0,
    **query: Any,  # noqa: ANN401  # fields of any type
) -> api.ListAuditEventsResponse:
    """Ask for one page."""
    request = api.ListAuditEventsRequest(page_size=size, page_token=token, **query)
    reply = await running.stub.ListAuditEvents(request, timeout=20)
    return cast("api.ListAuditEventsResponse", reply)


async def list_all(
    running: Running,
    size: int = 0,
    **query: Any,  # noqa: ANN401  # fields of any type
) -> list[api.AuditEvent]:
    """Return all pages of a list."""
    found: list[api.AuditEvent] = []
    token = ""
    while True:
        page = await page_of(running, token, size, **query)
        assert len(page.events) <= (size or 50)
        found += page.events
        token = page.next_page_token
        if not token:
            return found


def places(found: list[api.AuditEvent]) -> list[tuple[int, int, int, str, str, str]]:
    """Return what tells events apart, in their order."""
    return [
        (
            *(event.position.shard, event.position.seq, event.action),
            *(event.actor, event.account_id, event.wallet_id),
        )
        for event in found
    ]


def known_places(known: list[Known]) -> list[tuple[int, int, int, str, str, str]]:
    """Return the same of what a test wrote."""
    return [
        (event.shard, event.seq, event.action, event.actor, event.account_id, event.wallet_id)
        for event in known
    ]
