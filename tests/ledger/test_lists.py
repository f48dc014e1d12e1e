"""Lists of transactions by every scope and filter, against a model of all that was recorded."""

import asyncio
import random
from typing import ClassVar

import grpc.aio
import pytest

from guilder.ledger.v1 import ledger_service_pb2 as api
from guilder.type.v1.position_pb2 import Position
from ledger.api import lists
from ledger.domain.label import reference_label
from ledger.store.labels_read import having, labelled
from ledger.store.merged import wallets_of
from ledger.store.pool import Session
from ledger.store.queries import Place
from tests.ledger.listing import (
    COMPLETED,
    DEPOSIT,
    TRANSFER,
    Query,
    World,
    item_of,
    list_all,
    page_of,
    random_filters,
    random_times,
)
from tests.ledger.running import Running, info_of, reason_of
from tests.ledger.shards import START_US, Shard
from tests.ledger.test_reads import at
from walletkit.ids import format_id, new_id
from walletkit.sql.session import Rows, open_session


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("scope", ["wallet", "account"])
async def test_lists_of_wallets_and_accounts_are_what_was_recorded(
    running: Running, filled: World, monkeypatch: pytest.MonkeyPatch, scope: str, seed: int
) -> None:
    """With any filters, page sizes and bounds of a call: each entry once, in commit order."""
    rng = random.Random(seed)
    known = filled.known()
    places = {item: place for item, _, place in filled.entries()}
    for _ in range(12):
        monkeypatch.setattr(lists, "MAX_SCANNED", rng.choice((3, 20, 5_000)))
        monkeypatch.setattr(lists, "NARROWED_AT_ONCE", rng.choice((2, 250)))
        account = rng.choice(("ann", "bob", "far"))
        wallets = set(filled.accounts[account])
        query: Query = {"account_id": account}
        if scope == "wallet":
            wallets = {rng.choice(filled.accounts[account])}
            query = {"wallet_id": format_id(next(iter(wallets)))}
        filters, tests = random_filters(rng)
        times, fits = random_times(rng)
        found = await list_all(running, rng.choice((1, 7, 50)), **query, **filters, **times)
        expected = {
            item
            for item, time_us, _ in filled.entries()
            if item.wallet_id in wallets
            and fits(time_us)
            and all(test(known[item.tx_id]) for test in tests)
        }
        items = [item_of(one) for one in found]
        assert sorted(items) == sorted(expected)
        seqs = [places[item] for item in items]
        assert [seq for seq, _ in seqs] == sorted((seq for seq, _ in seqs), reverse=True)
        if account != "far":
            assert seqs == sorted(seqs, reverse=True)
        for one in found:
            tx = known[one.transaction.transaction_id]
            assert (one.transaction.state, one.create_time) == (tx.state, at(tx.time_us))


@pytest.mark.parametrize("seed", [1, 2])
async def test_lists_of_labels_are_what_was_recorded(
    running: Running, filled: World, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """By reference, metadata and family, with any filters: each transaction once, newest first."""
    rng = random.Random(seed)
    known = filled.known()
    for _ in range(20):
        monkeypatch.setattr(lists, "MAX_SCANNED", rng.choice((3, 20, 5_000)))
        monkeypatch.setattr(lists, "NARROWED_AT_ONCE", rng.choice((2, 250)))
        filters, tests = random_filters(rng)
        if rng.random() < 0.5 or not {"reference", "metadata_key"} & filters.keys():
            root = rng.choice(filled.roots)
            filters["family_id"] = format_id(root)
            tests.append(lambda one, root=root: one.transaction.family_id == root)  # type: ignore[misc]
        times, fits = random_times(rng)
        found = await list_all(running, rng.choice((1, 3, 50)), **filters, **times)
        expected = [
            id_
            for id_, one in reversed(known.items())
            if fits(one.time_us) and all(test(one) for test in tests)
        ]
        assert [one.transaction.transaction_id for one in found] == expected
        assert not any(one.HasField("entry") for one in found)


async def test_a_call_looks_through_a_bounded_number_of_entries(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page may be empty and have a next one; in the end the one that fits is found."""
    monkeypatch.setattr(lists, "MAX_SCANNED", 30)
    shard = Shard()
    ann = shard.create()
    wanted = shard.transfer(shard.world(), ann, 500)
    wanted.reference = b"needle"
    for _ in range(200):
        shard.transfer(shard.world(), ann, 1)
        shard.transfer(ann, shard.world(), 1)
    shard.commit()
    await running.take(shard)
    for narrowing in ({"reference": "needle"}, {"types": [DEPOSIT], "reference": "needle"}):
        query: Query = {"wallet_id": format_id(ann), **narrowing}
        first = await page_of(running, **query)
        assert (len(first.transactions), bool(first.next_page_token)) == (0, True)
        found = await list_all(running, **query)
        assert [one.transaction.transaction_id for one in found] == [wanted.transaction_id]


async def test_an_account_with_too_many_wallets_is_refused(running: Running) -> None:
    """100 wallets are listed together, 101 are not."""
    shard = Shard()
    for _ in range(lists.MAX_WALLETS):
        shard.transfer(shard.world(), shard.create(account_id="ann"), 1)
    shard.commit()
    await running.take(shard)
    found = await list_all(running, 30, account_id="ann")
    assert len({one.entry.wallet_id for one in found}) == lists.MAX_WALLETS
    assert len(found) == lists.MAX_WALLETS
    shard.create(account_id="ann")
    shard.commit()
    await running.ingest(0, shard.records[-1:])
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await page_of(running, account_id="ann")
    assert refused.value.code() == grpc.StatusCode.FAILED_PRECONDITION
    assert reason_of(refused.value) == "ACCOUNT_TOO_LARGE"


class Watched(Session):
    """A session that remembers what it was asked."""

    seen: ClassVar[list[str]] = []

    async def run(self, packet: str) -> list[Rows]:
        """Send statements."""
        self.seen.extend(packet.split(";"))
        return await super().run(packet)


async def test_lists_are_read_by_their_keys(running: Running) -> None:
    """An account's wallets, and the transactions with a label, are found without a scan."""
    shard = Shard()
    for number in range(300):
        wallet = shard.create(account_id=f"account-{number}")
        shard.transfer(shard.world(), wallet, 1).reference = b"rent-%d" % (number % 30)
    shard.commit()
    await running.take(shard)
    connection = await open_session(running.url, autocommit=True, durable=False)
    session, label = Watched(connection), reference_label(b"rent-7")
    wallets, seq = await wallets_of(session, "account-7", 101)
    assert (len(wallets), seq) == (1, 1)
    places = {Place(*row[:3]) for row in await labelled(session, label, Place(0, 1, 200), 10)}
    assert {place.n for place in places} == set(range(7, 200, 30))
    assert await having(session, label, places | {Place(0, 1, 8)}) == places
    keys = {"a": "accounts_by_owner", "accounts": "accounts_by_owner", "labels": "PRIMARY"}
    for query in session.seen:
        for plan in (await running.sql(f"EXPLAIN {query}"))[0]:
            table, kind, key = plan[2], plan[3], plan[5]
            if table in keys:
                assert kind in ("ref", "range")
                assert key == keys[table]
    connection.close()


async def test_both_sides_within_an_account_are_listed(running: Running) -> None:
    """A transfer between two wallets of an account has two entries, and so two items."""
    shard = Shard()
    first, second = shard.create(account_id="ann"), shard.create(account_id="ann")
    shard.transfer(shard.world(), first, 10)
    shard.commit()
    moved = shard.transfer(first, second, 4)
    shard.commit()
    await running.take(shard)
    found = await list_all(running, 1, account_id="ann")
    assert [one.transaction.transaction_id for one in found[:2]] == [moved.transaction_id] * 2
    assert {one.entry.side for one in found[:2]} == {api.ENTRY_SIDE_DEBIT, api.ENTRY_SIDE_CREDIT}
    page = await page_of(running, account_id="ann")
    assert page.position == Position(shard=0, seq=2)


async def test_an_account_without_wallets_has_no_transactions(running: Running) -> None:
    """No account is ever created, so an unknown one is empty and not an error."""
    page = await page_of(running, account_id="nobody")
    assert (list(page.transactions), page.next_page_token) == ([], "")
    assert not page.HasField("position")


async def test_a_list_waits_for_its_position(running: Running) -> None:
    """Of the account's shard, or for labels of any shard."""
    shard = Shard()
    ann = shard.create(account_id="ann")
    shard.commit()
    await running.take(shard)
    shard.transfer(shard.world(), ann, 1).reference = b"rent"
    shard.commit()
    ahead = Position(shard=0, seq=2)
    asked = [
        asyncio.ensure_future(page_of(running, min_position=ahead, account_id="ann")),
        asyncio.ensure_future(page_of(running, min_position=ahead, reference="rent")),
    ]
    await asyncio.sleep(0.1)
    assert not any(one.done() for one in asked)
    await running.ingest(0, shard.records[1:])
    for page in await asyncio.gather(*asked):
        assert len(page.transactions) == 1
        assert page.position == ahead
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await page_of(running, account_id="ann", min_position=Position(shard=1, seq=1))
    assert info_of(refused.value).metadata["field"] == "min_position.shard"


async def test_malformed_lists_name_their_field(running: Running) -> None:
    """Each is INVALID_FIELD, and the field is in its metadata."""
    id_ = format_id(new_id(0))
    malformed: list[tuple[str, Query]] = [
        ("wallet_id", {}),
        ("wallet_id", {"types": [TRANSFER]}),
        ("account_id", {"wallet_id": id_, "account_id": "ann"}),
        ("family_id", {"account_id": "ann", "family_id": id_}),
        ("account_id", {"account_id": "a b"}),
        ("family_id", {"family_id": "x"}),
        ("reference", {"reference": "x" * 65}),
        ("metadata_key", {"account_id": "ann", "metadata_value": "v"}),
        ("metadata_key", {"metadata_key": "k" * 4_097}),
        ("types", {"account_id": "ann", "types": [0]}),
        ("types", {"account_id": "ann", "types": [99]}),
        ("states", {"account_id": "ann", "states": [99]}),
        ("page_token", {"account_id": "ann", "token": "abc!"}),
        ("page_token", {"reference": "rent", "token": "abc!"}),
    ]
    for field, query in malformed:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await page_of(running, **query)
        info = info_of(refused.value)
        assert (info.reason, info.metadata["field"]) == ("INVALID_FIELD", field), query


async def test_a_page_token_fits_only_its_filters(running: Running, filled: World) -> None:
    """A token is bound to scope, filters and times; only the size of a page may change."""
    ann = filled.accounts["ann"][0]
    base: Query = {"account_id": "ann"}
    token = (await page_of(running, size=2, **base)).next_page_token
    assert token
    for other in (
        {"account_id": "bob"},
        {"wallet_id": format_id(ann)},
        {**base, "types": [TRANSFER]},
        {**base, "states": [COMPLETED]},
        {**base, "reference": "rent"},
        {**base, "end_time": at(START_US)},
    ):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await page_of(running, token, **other)
        assert info_of(refused.value).metadata["field"] == "page_token"
    assert (await page_of(running, token, size=9, **base)).transactions
