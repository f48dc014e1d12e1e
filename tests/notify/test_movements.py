"""Events of all that moves or reserves money, and of all that changes a wallet."""

from collections.abc import Callable
from typing import Any

import pytest

from guilder.events.v1 import record_pb2 as ev
from guilder.notify.v1 import notify_service_pb2 as pb
from notify.domain import facts
from notify.domain.events import expand
from notify.domain.facts import EVENT_TYPES
from notify.domain.render import data, format_time
from notify.streams import decode, records
from tests.notify.watching import all_events, data_of
from tests.notify.world import TIME_US, Client, Endpoint, Shard, until
from walletkit.ids import SystemKind, format_id, new_id, system_wallet_id
from walletkit.payload import unpack

SAID = b'{"a":"clerk 4","d":"room 12","e":1,"m":{"table":"4"},"r":"damaged"}'


def life_of(shard: Shard, wallet: bytes, other: bytes) -> list[str]:
    """Commit one of each change of a wallet, several in some records; return the event types."""
    hold = new_id(shard.number)

    def held(kind: str, state: str = "AUTHORIZED") -> ev.HoldChange:
        value = ev.HoldChangeKind.Value(f"HOLD_CHANGE_KIND_{kind}")
        status = ev.HoldState.Value(f"HOLD_STATE_{state}")
        return shard.hold(wallet, value, hold_id=hold, state=status)

    def changed(kind: str) -> ev.WalletChange:
        return shard.change(wallet, ev.WalletChangeKind.Value(f"WALLET_CHANGE_KIND_{kind}"))

    shard.commit(changes=[changed("CREATED")])
    shard.commit(shard.deposit(wallet), changes=[changed("LIMITED")])
    # A capture of more than is reserved, then one more hold: all in one batch.
    holds = [held("AUTHORIZED"), held("EXTENDED"), held("INCREMENTED"), held("CAPTURED")]
    capture = shard.transfer(wallet, other)
    capture.type = ev.TRANSACTION_TYPE_CAPTURE
    shard.commit(capture, hold_changes=[*holds, held("AUTHORIZED"), held("VOIDED", "VOIDED")])
    shard.commit(hold_changes=[held("AUTHORIZED")])
    leg = ev.LandedLeg(transaction_id=hold, postings=[shard.posting(_transit(), wallet, 3)])
    changes = [changed("UPDATED"), changed("FROZEN"), changed("UNFROZEN")]
    shard.commit(legs=[leg], hold_changes=[held("EXPIRED", "EXPIRED")], changes=changes)
    shard.commit(shard.several((wallet, other, 1), (other, wallet, 2), (wallet, other, 1)))
    shard.commit(changes=[changed("CLOSED")])
    return [
        *("wallet.created", "transaction.posted", "wallet.updated"),
        *("hold.authorized", "hold.extended", "hold.incremented", "hold.captured"),
        *("transaction.posted", "hold.authorized", "hold.voided", "hold.authorized"),
        *("transaction.posted", "wallet.updated", "wallet.frozen", "wallet.unfrozen"),
        "hold.expired",
        *("transaction.posted",) * 3,
        "wallet.closed",
    ]


def _transit() -> bytes:
    return system_wallet_id(SystemKind.TRANSIT, 0, "EUR")


async def test_no_gap_over_a_wallets_life(notify: Client) -> None:
    """Each version of a wallet has one event, over postings, holds and changes, in one sequence."""
    shard = Shard()
    wallet, other = shard.wallet(), shard.wallet()
    expected = life_of(shard, wallet, other)
    events = await all_events(notify, shard, len(expected), wallet_ids=[format_id(wallet)])
    assert [event.wallet_sequence for event in events] == list(range(1, len(expected) + 1))
    assert [event.type for event in events] == expected
    assert shard.versions[wallet] == len(expected)
    everything = await all_events(notify, shard, sum(shard.versions.values()))
    assert len({event.event_id for event in everything}) == len(everything)


async def test_several_postings(notify: Client) -> None:
    """Each customer's side of each posting has an event with the posting's own two wallets."""
    shard = Shard()
    payer, shop = shard.wallet(), shard.wallet()
    away = new_id(1)
    fees = system_wallet_id(SystemKind.FEES, 0, "EUR")
    transaction = shard.several((payer, shop, 80), (payer, fees, 3), (payer, away, 17))
    transaction.opaque = SAID
    shard.commit(transaction, shard.deposit(shop))
    events = await all_events(notify, shard, 5)
    # The other transaction's posting counts on, so no id comes twice.
    assert [event.event_id for event in events] == [
        f"evt_0_1_{place}" for place in ("0_d", "0_c", "1_d", "2_d", "3_c")
    ]
    told = [data_of(event) for event in events[:4]]
    assert [(item["deltaMinor"], item.get("destinationWalletId")) for item in told] == [
        ("-80", format_id(shop)),
        ("80", format_id(shop)),
        ("-3", None),
        ("-17", format_id(away)),
    ]
    for item in told:
        assert item["type"] == "TRANSACTION_TYPE_POSTING"
        assert item["state"] == "TRANSACTION_STATE_PROCESSING"
        assert item["sourceWalletId"] == format_id(payer)
        assert item["transactionId"] == format_id(transaction.transaction_id)
        assert item["actor"] == "clerk 4"


@pytest.mark.parametrize("kind", ["CAPTURE", "REVERSAL"])
async def test_what_follows_another(notify: Client, kind: str) -> None:
    """A capture and a reversal name parent and family, reason, actor and effective time."""
    shard = Shard()
    parent, family = new_id(0), new_id(0)
    transfer = shard.transfer(shard.wallet(), shard.wallet())
    transfer.type = ev.TransactionType.Value(f"TRANSACTION_TYPE_{kind}")
    transfer.parent_id, transfer.family_id = parent, family
    transfer.effective_time_us = TIME_US - 86_400_000_000
    transfer.opaque = SAID
    shard.commit(transfer)
    for event in await all_events(notify, shard, 2):
        told = data_of(event)
        assert event.type == "transaction.posted"
        assert told["type"] == f"TRANSACTION_TYPE_{kind}"
        assert (told["parentId"], told["familyId"]) == (format_id(parent), format_id(family))
        assert (told["reason"], told["actor"]) == ("damaged", "clerk 4")
        assert (told["description"], told["metadata"]) == ("room 12", {"table": "4"})
        assert told["effectiveTime"] == "2026-09-20T14:13:20.000000Z"


async def test_leg_tells_of_itself_alone(notify: Client) -> None:
    """A landed leg says what became of it; the transaction's state only where the record does."""
    shard = Shard()
    wallet = shard.wallet()
    ids = [new_id(1) for _ in range(3)]
    legs = [
        ev.LandedLeg(transaction_id=id_, leg=leg, postings=[shard.posting(_transit(), wallet, 1)])
        for id_, leg in zip(ids, (7, 130, 128), strict=True)
    ]
    # Of the second one other legs are open; with the third its transaction ends.
    closed = [
        ev.ClosedIntent(transaction_id=ids[1], leg=2),
        ev.ClosedIntent(transaction_id=ids[2], leg=0, state=ev.TRANSACTION_STATE_RETURNED),
    ]
    shard.commit(legs=legs, closed_intents=closed)
    told = [data_of(event) for event in await all_events(notify, shard, 3)]
    assert [(item["leg"], item["legState"], item.get("state")) for item in told] == [
        ("7", "TRANSACTION_STATE_COMPLETED", None),
        ("2", "TRANSACTION_STATE_RETURNED", None),
        ("0", "TRANSACTION_STATE_RETURNED", "TRANSACTION_STATE_RETURNED"),
    ]


async def test_hold_is_told_with_the_apis_names(notify: Client, endpoint: Endpoint) -> None:
    """A hold's webhooks say all amounts as text, what was said of it where it was made."""
    created = await notify.subscribe(endpoint.url, types=["hold.authorized", "hold.captured"])
    shard = Shard()
    wallet, shop, hold, capture = shard.wallet(), shard.wallet(), new_id(0), new_id(0)
    made = shard.hold(wallet, hold_id=hold, destination=shop, reference=b"r 1", opaque=SAID)
    raised = shard.hold(wallet, ev.HOLD_CHANGE_KIND_INCREMENTED, hold_id=hold)
    captured = shard.hold(
        wallet,
        ev.HOLD_CHANGE_KIND_CAPTURED,
        hold_id=hold,
        state=ev.HOLD_STATE_CAPTURED,
        captured_minor=300,
        released_minor=200,
        held_after_minor=0,
        transaction_id=capture,
    )
    for change in (made, raised, captured):
        shard.commit(hold_changes=[change])
    await notify.send(shard)
    await until(lambda: len(endpoint.posts) == 2)
    posts = {post.event_id: post for post in endpoint.posts}
    assert set(posts) == {"evt_0_1_0_h", "evt_0_3_0_h"}
    for post in posts.values():
        post.verify(created.secret)
    usual = {"holdId": format_id(hold), "walletId": format_id(wallet), "currencyCode": "EUR"}
    usual |= {"authorizedMinor": "500", "expireTime": format_time(TIME_US + 60_000_000)}
    assert posts["evt_0_1_0_h"].content["walletSequence"] == "1"
    assert posts["evt_0_1_0_h"].content["data"] == usual | {
        "state": "HOLD_STATE_AUTHORIZED",
        "capturedMinor": "0",
        "releasedMinor": "0",
        "openMinor": "500",
        "heldAfterMinor": "500",
        "destinationWalletId": format_id(shop),
        "reference": "r 1",
        "description": "room 12",
        "metadata": {"table": "4"},
        "reason": "damaged",
        "actor": "clerk 4",
    }
    assert posts["evt_0_3_0_h"].content["walletSequence"] == "3"
    assert posts["evt_0_3_0_h"].content["data"] == usual | {
        "state": "HOLD_STATE_CAPTURED",
        "capturedMinor": "300",
        "releasedMinor": "200",
        "openMinor": "0",
        "heldAfterMinor": "0",
        "transactionId": format_id(capture),
    }


async def test_changes_of_wallets(notify: Client) -> None:
    """New metadata and limits are updates; an account's freeze is told of each of its wallets."""
    shard = Shard()
    first, second = shard.wallet(), shard.wallet()
    updated = shard.change(first, ev.WALLET_CHANGE_KIND_UPDATED, opaque=b'{"m":{"a":"b"}}')
    limited = shard.change(
        first, ev.WALLET_CHANGE_KIND_LIMITED, limits=b"{}", overdraft_limit_minor=2**53 + 1
    )
    account = ev.AccountChange(account_id="alice", freeze=ev.ACCOUNT_FREEZE_ALL)
    frozen = [
        shard.change(wallet, ev.WALLET_CHANGE_KIND_FROZEN, account_freeze=ev.ACCOUNT_FREEZE_ALL)
        for wallet in (first, second)
    ]
    thawed = shard.change(
        second, ev.WALLET_CHANGE_KIND_UNFROZEN, previous_account_freeze=ev.ACCOUNT_FREEZE_ALL
    )
    shard.commit(changes=[updated, limited])
    shard.commit(changes=frozen, account_changes=[account])
    shard.commit(changes=[thawed])
    events = await all_events(notify, shard, 5)
    assert [event.type for event in events] == [
        *("wallet.updated", "wallet.updated", "wallet.frozen", "wallet.frozen", "wallet.unfrozen")
    ]
    told = [data_of(event) for event in events]
    assert (told[0]["changed"], told[0]["metadata"]) == ("metadata", {"a": "b"})
    assert (told[1]["changed"], told[1]["overdraftLimitMinor"]) == ("limits", str(2**53 + 1))
    assert told[1]["previousOverdraftLimitMinor"] == "0"
    for item, wallet in zip(told[2:4], (first, second), strict=True):
        assert item["walletId"] == format_id(wallet)
        assert item["accountFreeze"] == "ACCOUNT_FREEZE_ALL"
        assert item["status"] == "WALLET_STATUS_ACTIVE"
    assert told[4]["previousAccountFreeze"] == "ACCOUNT_FREEZE_ALL"
    assert "accountFreeze" not in told[4]


async def test_records_without_events(notify: Client, endpoint: Endpoint) -> None:
    """Accounts, assets and kinds of a newer program tell nothing and hold nothing up."""
    await notify.subscribe(endpoint.url)
    shard = Shard()
    wallet = shard.wallet()
    account = ev.AccountChange(account_id="alice", currency_code="EUR", limits=b"{}")
    asset = ev.AssetRegistration(currency_code="GOLD", exponent=4)
    shard.commit(account_changes=[account])
    shard.commit(asset_registrations=[asset])
    unknown: Any = 99
    shard.commit(
        hold_changes=[ev.HoldChange(kind=unknown, wallet_id=wallet)],
        changes=[ev.WalletChange(kind=unknown, wallet_id=wallet)],
    )
    shard.commit(hold_changes=[shard.hold(wallet)], asset_registrations=[asset])
    await notify.send(shard)
    await until(lambda: endpoint.posts)
    assert endpoint.ids == ["evt_0_4_0_h"]


def test_odd_values_never_stop_the_stream() -> None:
    """Times that no calendar has and text that none can read show as none."""
    shard = Shard()
    odd = shard.hold(shard.wallet(), expire_time_us=2**62, opaque=b"{", reference=b"\xff")
    transfer = shard.transfer(shard.wallet(), shard.wallet())
    transfer.effective_time_us = -(2**62)
    record = shard.commit(transfer, hold_changes=[odd])
    for event in expand(decode.decode(0, 1, unpack(record.payload))):
        assert not {"expireTime", "effectiveTime"} & data(event).keys()


async def test_every_type_can_be_subscribed(notify: Client, endpoint: Endpoint) -> None:
    """All event types together are a filter; a replay queues what it lets pass."""
    shard = Shard()
    expected = life_of(shard, shard.wallet(), shard.wallet())
    await notify.send(shard)
    all_types = await notify.subscribe("https://example.com/", "all", types=EVENT_TYPES)
    assert list(all_types.subscription.event_types) == sorted(EVENT_TYPES)
    assert set(EVENT_TYPES) - {"transaction.returned"} == set(expected)
    created = await notify.subscribe(endpoint.url, types=["hold.extended", "hold.expired"])
    request = pb.ReplayDeliveriesRequest(subscription_id=created.subscription.subscription_id)
    assert (await notify.stub.ReplayDeliveries(request)).queued == 2
    await until(lambda: len(endpoint.posts) == 2)
    assert {post.content["type"] for post in endpoint.posts} == {"hold.extended", "hold.expired"}


async def test_unmatched_records_are_not_read(
    notify: Client, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of records that touch no wanted wallet nothing but the bytes is looked at."""
    read: list[int] = []
    usual: Callable[[int, int, bytes], facts.Facts] = decode.decode

    def counting(shard: int, seq: int, payload: bytes) -> facts.Facts:
        read.append(seq)
        return usual(shard, seq, payload)

    monkeypatch.setattr(records, "decode", counting)
    shard = Shard()
    wanted, other = shard.wallet(), shard.wallet()
    await notify.subscribe(endpoint.url, wallets=[wanted])
    for _ in range(10):
        shard.commit(hold_changes=[shard.hold(other)])
        shard.commit(shard.several((other, shard.wallet(), 1), (other, shard.wallet(), 1)))
    shard.commit(hold_changes=[shard.hold(wanted)])
    await notify.send(shard)
    await until(lambda: endpoint.posts)
    assert (endpoint.ids, read) == (["evt_0_21_0_h"], [21])


def test_events_are_kept_in_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many postings a record has, the events that are kept stay bounded."""
    monkeypatch.setattr(records, "CACHED_EVENTS", 10)
    shard = Shard()
    kept = records.Records(_no_redis(), 1, 1)
    for count in (3, 4, 20, 2, 3):
        wallet = shard.wallet()
        record = shard.commit(hold_changes=[shard.hold(wallet) for _ in range(count)])
        place = records.Kept(0, record.seq, unpack(record.payload))
        assert len(kept.events(place)) == count
        assert kept.events(place) == kept.events(place)
        assert sum(map(len, kept._events.values())) <= 10


def _no_redis() -> Any:  # noqa: ANN401  # stands for a client that is never asked
    class _Silent:
        def register_script(self, _text: str) -> None:
            return None

    return _Silent()
