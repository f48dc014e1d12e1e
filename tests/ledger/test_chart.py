"""The chart of accounts, and the trial balance in its terms, now and at any time."""

import random

import pytest

from guilder.events.v1 import record_pb2 as events
from guilder.ledger.v1 import ledger_service_pb2 as api
from guilder.type.v1.position_pb2 import Position
from ledger.domain.chart import BY_KIND, CHART, CUSTOMERS, AccountClass, NormalSide
from tests.ledger.running import Running
from tests.ledger.shards import SECOND_US, START_US, Shard, postings_of, send_across
from tests.ledger.test_reads import DAY_US, at
from walletkit.ids import SystemKind, is_system, system_parts

Sums = dict[tuple[int, str, str], tuple[int, int]]


def test_every_wallet_has_its_account() -> None:
    """Customers and each kind of system wallet have exactly one account, and codes rise."""
    assert BY_KIND.keys() == {CUSTOMERS, *SystemKind}
    codes = [account.code for account in CHART]
    assert codes == sorted(set(codes))
    assert len(CHART) == len(BY_KIND)


def test_the_normal_side_is_that_of_the_class() -> None:
    """Assets and expenses grow by debits, all else by credits; the balance is seen from there."""
    for account in CHART:
        grows_by_debits = account.account_class in (AccountClass.ASSET, AccountClass.EXPENSE)
        assert (account.normal_side == NormalSide.DEBIT) == grows_by_debits
        assert account.balance(7) == (-7 if grows_by_debits else 7)


async def test_the_chart_can_be_asked_for(running: Running) -> None:
    """Each account says what it is; customers are owed, world is held, fees are earned."""
    reply = await running.stub.GetChartOfAccounts(api.GetChartOfAccountsRequest())
    found = {account.name: account for account in reply.accounts}
    assert found.keys() == {"customers", "world", "fees", "exchange", "transit", "suspense"}
    assert all(account.description and account.code for account in reply.accounts)
    customers, world, fees = found["customers"], found["world"], found["fees"]
    assert customers.account_class == api.ACCOUNT_CLASS_LIABILITY
    assert (world.account_class, world.normal_side) == (
        api.ACCOUNT_CLASS_ASSET,
        api.ENTRY_SIDE_DEBIT,
    )
    assert (fees.account_class, fees.normal_side) == (
        api.ACCOUNT_CLASS_REVENUE,
        api.ENTRY_SIDE_CREDIT,
    )


async def test_a_line_tells_its_account_and_its_balance(running: Running) -> None:
    """What was deposited is an asset of a positive debit balance, and owed to customers."""
    shard = Shard()
    ann = shard.create()
    shard.transfer(shard.world(), ann, 1_000)
    shard.transfer(ann, shard.system_id(SystemKind.FEES), 30)
    shard.commit()
    await running.take(shard)
    reply = await running.stub.GetTrialBalance(api.GetTrialBalanceRequest())
    lines = {
        line.account: (line.account_code, line.normal_side, line.net_minor, line.balance_minor)
        for line in reply.lines
    }
    assert lines == {
        "customers": ("2000", api.ENTRY_SIDE_CREDIT, "970", "970"),
        "world": ("1000", api.ENTRY_SIDE_DEBIT, "-1000", "1000"),
        "fees": ("4000", api.ENTRY_SIDE_CREDIT, "30", "30"),
    }
    assert {line.account_class for line in reply.lines} == {
        api.ACCOUNT_CLASS_LIABILITY,
        api.ACCOUNT_CLASS_ASSET,
        api.ACCOUNT_CLASS_REVENUE,
    }


@pytest.fixture
def two_shards() -> tuple[Shard, Shard]:
    """Two shards with traffic within and between them, over more than a week."""
    rng = random.Random(5)
    home, away = Shard(0), Shard(1)
    homes = [home.create() for _ in range(3)]
    yens, aways = [home.create("JPY")], [away.create() for _ in range(3)]
    for shard, wallets in ((home, homes + yens), (away, aways)):
        for wallet in wallets:
            shard.transfer(shard.world(shard.wallets[wallet].currency), wallet, 10_000)
        shard.commit()
    for _ in range(30):
        if rng.random() < 0.3:
            send_across(home, away, rng.choice(homes), rng.choice(aways), rng.randrange(1, 50))
        shard, wallets = rng.choice(((home, homes), (away, aways)))
        for _ in range(rng.randrange(1, 4)):
            source, destination = rng.sample([shard.world(), *wallets], 2)
            shard.transfer(source, destination, rng.randrange(1, 100))
        shard.commit(max(home.time_us, away.time_us) + rng.choice((1, SECOND_US, DAY_US // 3)))
        home.time_us = away.time_us = shard.time_us
    return home, away


def sums_before(shards: tuple[Shard, ...], time_us: int) -> tuple[Sums, dict[int, int]]:
    """Add up what the records before a moment have moved, and tell each shard's last of them."""
    sums: Sums = {}
    last = {}
    for shard in shards:
        last[shard.number] = 0
        for record in shard.records:
            message = events.Record.FromString(record.payload)
            if message.time_us >= time_us:
                break
            last[shard.number] = record.seq
            for posting in postings_of(message):
                for wallet_id, is_debit in ((posting.source, True), (posting.destination, False)):
                    kind = "customers"
                    if is_system(wallet_id):
                        kind = system_parts(wallet_id)[0].name.lower()
                    key = (shard.number, posting.currency_code, kind)
                    debit, credit = sums.get(key, (0, 0))
                    amount = posting.amount_minor
                    sums[key] = (debit + amount * is_debit, credit + amount * (not is_debit))
    return sums, last


async def test_a_trial_balance_at_any_time_is_that_of_the_records_before_it(
    running: Running, two_shards: tuple[Shard, Shard]
) -> None:
    """Right before and after each of some records, at the beginning, and after all of them."""
    await running.take(*two_shards)
    times = [
        events.Record.FromString(record.payload).time_us
        for shard in two_shards
        for record in shard.records
    ]
    moments = [0, START_US, *times[::4], *(time_us + 1 for time_us in times[::5]), 2 * START_US]
    for time_us in moments:
        reply = await running.stub.GetTrialBalance(api.GetTrialBalanceRequest(at_time=at(time_us)))
        found = {
            (line.shard, line.currency_code, line.account): (
                int(line.debit_minor),
                int(line.credit_minor),
            )
            for line in reply.lines
            if (line.debit_minor, line.credit_minor) != ("0", "0")
        }
        expected, last = sums_before(two_shards, time_us)
        assert found == expected
        assert reply.balanced
        assert list(reply.positions) == [Position(shard=n, seq=last[n]) for n in (0, 1)]
    request = api.GetTrialBalanceRequest(shard=1, at_time=at(times[3]))
    one = await running.stub.GetTrialBalance(request)
    assert {line.shard for line in one.lines} == {1}
    assert one.balanced


async def test_a_trial_balance_is_balanced_where_a_clock_was_set_back(running: Running) -> None:
    """A wallet's entries never run backwards, its counterparty's may: records stay whole."""
    shard = Shard()
    ann, bob = shard.create(), shard.create()
    shard.transfer(shard.world(), ann, 100)
    shard.commit(START_US + 100)
    shard.transfer(shard.world(), bob, 50)
    shard.commit(START_US + 40)
    shard.transfer(ann, bob, 5)
    shard.commit(START_US + 200)
    await running.take(shard)
    for offset_us in (0, 30, 45, 90, 101, 150, 201):
        request = api.GetTrialBalanceRequest(at_time=at(START_US + offset_us))
        reply = await running.stub.GetTrialBalance(request)
        assert reply.balanced
        assert sum(int(line.net_minor) for line in reply.lines) == 0
