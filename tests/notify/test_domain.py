"""The rules of notify by themselves: events, cursors, backoff, targets, filters, settings."""

import json
from ipaddress import ip_address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guilder.events.v1 import record_pb2 as ev
from notify.domain import cursor, delivery, render, target
from notify.domain.cursor import Place
from notify.domain.delivery import Reply, RetryPolicy, Verdict
from notify.domain.events import Event, expand
from notify.domain.facts import EventType
from notify.domain.subscription import Filter, fingerprint
from notify.settings import load
from notify.streams.decode import decode
from tests.notify.world import Shard
from walletkit.ids import SystemKind, format_id, is_system, system_wallet_id
from walletkit.payload import unpack
from walletkit.settings import SettingsError

WALLETS = [Shard().wallet() for _ in range(4)]
OUTSIDE = [system_wallet_id(kind, 0, "EUR") for kind in SystemKind]
CHANGE_KINDS = [
    ev.WALLET_CHANGE_KIND_CREATED,
    ev.WALLET_CHANGE_KIND_FROZEN,
    ev.WALLET_CHANGE_KIND_UNFROZEN,
    ev.WALLET_CHANGE_KIND_CLOSED,
    ev.WALLET_CHANGE_KIND_UPDATED,
    ev.WALLET_CHANGE_KIND_LIMITED,
]
HOLD_KINDS = [kind for kind in ev.HoldChangeKind.values() if kind]
POLICY = RetryPolicy(base_ms=5_000, factor=4, cap_ms=21_600_000, max_attempts=12)

pairs = st.tuples(st.sampled_from(WALLETS + OUTSIDE), st.sampled_from(WALLETS + OUTSIDE))
steps = st.lists(
    st.one_of(
        st.tuples(st.just("transfer"), pairs),
        st.tuples(st.just("leg"), pairs),
        st.tuples(st.just("return"), pairs),
        st.tuples(st.just("several"), st.lists(pairs, min_size=1, max_size=5).map(tuple)),
        st.tuples(st.just("hold"), st.sampled_from(WALLETS), st.sampled_from(HOLD_KINDS)),
        st.tuples(st.just("change"), st.sampled_from(WALLETS), st.sampled_from(CHANGE_KINDS)),
    ),
    max_size=20,
)


def record_of(plan: list[tuple[Any, ...]]) -> tuple[Shard, list[Event]]:
    """Commit a plan's steps in one record and expand it."""
    shard = Shard()
    transactions, legs, changes, holds, closed = [], [], [], [], []
    for what, who, *kind in plan:
        if what == "hold":
            holds.append(shard.hold(who, *kind))
        elif what == "change":
            changes.append(shard.change(who, *kind))
        elif what == "several":
            transactions.append(shard.several(*((*pair, 5) for pair in who)))
        elif what == "transfer":
            transactions.append(shard.transfer(*who))
        else:
            number = 128 if what == "return" else 0
            posting = shard.posting(who[0], who[1], 5)
            legs.append(ev.LandedLeg(transaction_id=WALLETS[0], leg=number, postings=[posting]))
            if what == "return":
                state = ev.TRANSACTION_STATE_RETURNED
                closed.append(ev.ClosedIntent(transaction_id=WALLETS[0], state=state))
    record = shard.commit(
        *transactions, legs=legs, changes=changes, hold_changes=holds, closed_intents=closed
    )
    return shard, expand(decode(0, record.seq, unpack(record.payload)))


@given(steps)
def test_an_event_for_each_touch_of_a_customer(plan: list[tuple[Any, ...]]) -> None:
    """Every change of a customer's wallet gives one event, in its wallet's order without a gap."""
    shard, events = record_of(plan)
    for wallet in WALLETS:
        sequences = [event.wallet_sequence for event in events if event.wallet_id == wallet]
        assert sequences == list(range(1, shard.versions[wallet] + 1))
    assert not any(is_system(event.wallet_id) for event in events)
    assert len({event.event_id for event in events}) == len(events)


@given(steps)
def test_bodies_are_json_with_integers_as_text(plan: list[tuple[Any, ...]]) -> None:
    """A body says type, time, wallet and delta; no number is JSON's, which is a float to many."""
    for event in record_of(plan)[1]:
        content = json.loads(render.body(event))
        assert content["type"] == event.type
        assert content["walletId"] == format_id(event.wallet_id)
        assert content["walletSequence"] == str(event.wallet_sequence)
        assert render.event_time_us(render.body(event)) == event.time_us
        for value in content["data"].values():
            assert isinstance(value, str | dict)
        if event.type is EventType.TRANSACTION_RETURNED:
            assert content["data"]["state"] == "TRANSACTION_STATE_RETURNED"


@pytest.mark.parametrize("opaque", [b"nonsense", b"[1]", b"\xff", b"null", b""])
def test_unreadable_opaque_shows_as_none(opaque: bytes) -> None:
    """Whatever the caller's JSON is, it never stops the stream."""
    assert render.parse_object(opaque) == {}


places = st.dictionaries(
    st.integers(0, 99_999),
    st.builds(Place, st.integers(0, 2**63 - 1), st.integers(0, 10**9 - 1)),
    max_size=40,
)


@given(places)
def test_cursor_round_trip(where: dict[int, Place]) -> None:
    """A cursor reads as what it was written from."""
    assert cursor.decode(cursor.encode(where)) == where


@given(st.text(max_size=60))
def test_a_foreign_text_is_no_cursor(text: str) -> None:
    """Anything else is refused by ``ValueError`` or reads as what would be written so."""
    try:
        where = cursor.decode(text)
    except ValueError:
        return
    assert all(place.seq >= 0 for place in where.values())


@given(st.integers(1, 10_000), st.floats(0, 1, exclude_max=True))
def test_backoff_is_bounded(attempts: int, fraction: float) -> None:
    """A wait is from 0 to its ceiling; ceilings grow up to the cap."""
    assert 0 <= delivery.delay_ms(attempts, POLICY, fraction) <= POLICY.cap_ms
    assert delivery.ceiling_ms(attempts, POLICY) <= delivery.ceiling_ms(attempts + 1, POLICY)


def test_backoff_ceilings() -> None:
    """The ceilings are base, base x factor and so on."""
    ceilings = [delivery.ceiling_ms(attempts, POLICY) for attempts in (1, 2, 3, 7, 8, 12)]
    assert ceilings == [5_000, 20_000, 80_000, 20_480_000, 21_600_000, 21_600_000]


@pytest.mark.parametrize(
    ("status", "attempts", "verdict"),
    [
        (200, 1, Verdict.DELIVERED),
        (204, 12, Verdict.DELIVERED),
        (299, 1, Verdict.DELIVERED),
        (302, 1, Verdict.RETRY),
        (404, 1, Verdict.RETRY),
        (410, 1, Verdict.GIVE_UP),
        (500, 11, Verdict.RETRY),
        (500, 12, Verdict.GIVE_UP),
        (None, 1, Verdict.RETRY),
        (None, 12, Verdict.GIVE_UP),
    ],
)
def test_verdicts(status: int | None, attempts: int, verdict: Verdict) -> None:
    """2xx is delivered, 410 given up at once, all else tried until the attempts are spent."""
    assert delivery.judge(Reply(status, ""), attempts, POLICY) is verdict


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "127.1", "0x7f.1", "2130706433", "0", "0.0.0.0", "10.1.2.3"),  # noqa: S104
        *("172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "224.0.0.1", "::1"),
        *("::", "fe80::1", "fc00::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::"),
        *("localhost", "LOCALHOST", "localhost.", "a.localhost", "db.internal", "printer.local"),
        *("240.0.0.1", "255.255.255.255", "fec0::1", "2001:0:1::1", "ff02::1"),
    ],
)
def test_private_hosts(host: str) -> None:
    """Whatever is not public by its text is private, in every way that addresses can be written."""
    assert target.is_private_host(host)


@pytest.mark.parametrize("host", ["example.com", "8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8"])
def test_public_hosts(host: str) -> None:
    """Names, as far as their text tells, and public addresses are not private."""
    assert not target.is_private_host(host)


def test_link_local_with_interface() -> None:
    """A link-local address as resolvers give it, with its interface, is private."""
    assert target.is_private_address(ip_address("fe80::1%eth0"))


def test_filter_by_bytes_never_hides_an_event() -> None:
    """A record that holds an event of a wallet holds its id."""
    _, events = record_of([("transfer", (WALLETS[0], WALLETS[1]))])
    shard = Shard()
    record = shard.commit(shard.transfer(WALLETS[0], WALLETS[1]))
    for event in events:
        assert Filter(frozenset(), frozenset({event.wallet_id})).may_touch(unpack(record.payload))
    assert not Filter(frozenset(), frozenset({WALLETS[2]})).may_touch(unpack(record.payload))


def test_fingerprints() -> None:
    """Order and repetition don't matter; url, types and wallets do, and none passes for another."""
    types, wallets = frozenset({"a", "b"}), frozenset(WALLETS[:2])
    variants = {
        fingerprint("u", Filter(frozenset(), frozenset())),
        fingerprint("u", Filter(types, frozenset())),
        fingerprint("u", Filter(frozenset({"ab"}), frozenset())),
        fingerprint("u", Filter(frozenset(), wallets)),
        fingerprint("u", Filter(types, wallets)),
        fingerprint("ua", Filter(frozenset({"b"}), frozenset())),
    }
    assert len(variants) == 6
    assert fingerprint("u", Filter(types, wallets)) in variants


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"NOTIFY_LISTEN": None}, "NOTIFY_LISTEN"),
        ({"NOTIFY_REDIS_URL": "http://x"}, "NOTIFY_REDIS_URL"),
        ({"NOTIFY_DATABASE_URL": "postgres://x/y"}, "NOTIFY_DATABASE_URL"),
        ({"NOTIFY_NONSENSE": "1"}, "NOTIFY_NONSENSE"),
        ({"NOTIFY_RETRY_ATTEMPTS": "0"}, "NOTIFY_RETRY_ATTEMPTS"),
    ],
)
def test_wrong_environment_is_named(
    monkeypatch: pytest.MonkeyPatch, changes: dict[str, str | None], named: str
) -> None:
    """A missing, malformed or unknown variable stops the start by its name."""
    environment: dict[str, str | None] = {
        "NOTIFY_LISTEN": "127.0.0.1:0",
        "NOTIFY_AUTH_MODE": "trusted",
        "NOTIFY_DATABASE_URL": "mysql://root:hidden@127.0.0.1/notify",
        "NOTIFY_REDIS_URL": "redis://:hidden@127.0.0.1",
    }
    for name, value in (environment | changes).items():
        if value is not None:
            monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as caught:
        load()
    assert named in str(caught.value)
    assert "hidden" not in str(caught.value)
