"""The wallets' history: the ledger's lists and families, asked as WalletService asks."""

import pytest

from guilder.events.v1 import record_pb2 as events
from guilder.type.v1.position_pb2 import Position
from guilder.wallet.v1 import resources_pb2 as res
from guilder.wallet.v1 import wallet_service_pb2 as wallet_api
from tests.ledger.listing import COMPLETED, REVERSAL, TRANSFER, World
from tests.ledger.running import Running
from tests.ledger.shards import START_US, Shard
from tests.ledger.test_reads import at
from wallet.api.history import History, member
from walletkit.errors import ServiceError
from walletkit.ids import SystemKind, format_id, new_id
from walletkit.money import learn


async def test_the_wallets_history_forwards_every_filter(running: Running, filled: World) -> None:
    """WalletService's lists are the ledger's, in the wallets' words."""
    known = filled.known()
    history = History(running.channel)
    request = wallet_api.ListTransactionsRequest(
        account_id="ann",
        reference="rent",
        types=[res.TRANSACTION_TYPE_TRANSFER, res.TRANSACTION_TYPE_REVERSAL],
        states=[res.TRANSACTION_STATE_COMPLETED],
        page_size=1_000,
    )
    page = await history.list(request, 5)
    with pytest.raises(ServiceError) as refused:
        await history.list(wallet_api.ListTransactionsRequest(account_id="a b"), None)
    expected = [
        item
        for item, _, _ in filled.entries()
        if item.wallet_id in filled.accounts["ann"]
        and known[item.tx_id].transaction.reference == b"rent"
        and known[item.tx_id].transaction.type in (TRANSFER, REVERSAL)
        and known[item.tx_id].state == COMPLETED
    ]
    assert sorted((one.wallet_id, one.version) for one in page.transactions) == sorted(
        (format_id(item.wallet_id), item.version) for item in expected
    )
    assert {one.transaction.reference for one in page.transactions} == {"rent"}
    assert (refused.value.reason, refused.value.metadata) == (
        "INVALID_FIELD",
        {"field": "account_id"},
    )


async def test_the_assets_of_a_page_are_made_sure_of_before_it_is_written(
    running: Running,
) -> None:
    """A process learns an asset that another one has registered; then its digits are told."""
    shard = Shard()
    shard.batch.asset_registrations.add(currency_code="XHIST", exponent=5)
    ann = shard.create("XHIST")
    shard.transfer(shard.world("XHIST"), ann, 7)
    shard.commit()
    await running.take(shard)
    asked: list[str] = []

    async def make_sure_of(currencies: set[str]) -> None:
        asked.extend(currencies)
        learn("XHIST", 5)

    request = wallet_api.ListTransactionsRequest(wallet_id=format_id(ann))
    page = await History(running.channel).list(request, 5, make_sure_of)
    assert asked == ["XHIST"]
    assert [one.transaction.exponent for one in page.transactions] == [5]


async def test_a_family_is_told_oldest_first(running: Running, filled: World) -> None:
    """All that names the root, from whatever shard, with its state of now."""
    known = filled.known()
    history = History(running.channel)
    for root in filled.roots:
        position = Position(shard=0, seq=len(filled.home.records))
        found = await history.family(root, 5, position)
        expected = [one for one in known.values() if one.transaction.family_id == root]
        assert [(t.transaction_id, time_us, t.state) for t, time_us in found] == [
            (one.transaction.transaction_id, one.time_us, one.state) for one in expected
        ]
    assert await history.family(new_id(0), None) == []


def test_a_transaction_of_several_postings_has_the_callers_destinations() -> None:
    """What went to another shard went to `transit` there; its intent knows to whom."""
    shard = Shard()
    ann, bob, far = shard.create(), shard.create(), new_id(1)
    shard.wallets[ann].posted = 100
    transaction = shard.transfer(ann, bob, 5)
    transaction.type = events.TRANSACTION_TYPE_POSTING
    transit = shard.system_id(SystemKind.TRANSIT)
    transaction.postings.add(source=ann, destination=transit, currency_code="EUR", amount_minor=7)
    transaction.intents.add(leg=1, destination=far, currency_code="EUR", amount_minor=7)
    written = member(transaction, START_US)
    assert (written.amount.amount_minor, written.destination_wallet_id) == (5, format_id(bob))
    assert written.create_time == at(START_US)
