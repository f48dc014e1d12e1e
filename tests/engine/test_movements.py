"""Every movement is written and read back by real shards: rows, records, replies, replays."""

import asyncio

from guilder.events.v1 import record_pb2 as pb
from tests.engine import movements as make
from tests.engine.world import World, account_on, posted, reason
from wallet.domain.bound import account_owner
from wallet.domain.commands import KeyedCommand, Limits, VelocityLimit
from wallet.domain.kinds import (
    LIMITED,
    AccountFreeze,
    HoldState,
    TransactionState,
    TransactionType,
    VelocityBasis,
    VelocityWindow,
    WalletChangeKind,
)
from wallet.domain.outcome import AccountSet, AssetSet, AtomicSet, HoldSet, Posted, WalletSet
from wallet.store import queries
from walletkit.ids import new_id, slot_of, slot_of_account
from walletkit.payload import unpack

ALL_LIMITS = Limits(
    overdraft=50,
    min_balance=-20,
    max_balance=10_000,
    max_transaction=500,
    over_capture_percent=20,
    velocity=(VelocityLimit(VelocityWindow.DAY, VelocityBasis.DEBITS, 1_000, 9),),
)


async def _last_record(world: World, shard: int) -> pb.Record:
    rows = await world.sql(shard, "SELECT payload FROM outbox ORDER BY seq DESC LIMIT 1")
    return pb.Record.FromString(unpack(rows[0][0]))


async def test_a_hold_lives_in_its_row(world: World) -> None:
    """Authorized, incremented, extended, captured in parts: each read is what was replied."""
    router = await world.start()
    payer, shop = await world.wallet(0, 1_000), await world.wallet(0)
    shard = router.shard_of(payer)
    hold = make.hold_of(await world.do(make.authorize(payer, 100, destination=shop)))
    for command in (
        make.increment(hold, 50),
        make.extend(hold, make.in_us(7200)),
        make.capture(hold, shop, 60),
        make.capture(hold, shop, 30, final=True),
    ):
        hold = make.hold_of(await world.do(command))
        assert await queries.hold(shard, hold.hold_id) == hold
    assert (hold.state, hold.captured, hold.released) == (HoldState.CAPTURED, 90, 60)
    unknown = new_id(slot_of(payer))
    told = await queries.hold_facts_of(shard, [hold.hold_id, unknown])
    assert told == {hold.hold_id: (payer, "EUR", shop, hold.reference)}
    assert await queries.hold(shard, unknown) is None
    await world.check()


async def test_holds_made_and_ended_in_one_batch(world: World) -> None:
    """A hold that is over before its row is written is not swept, and not counted as held."""
    await world.start()
    payer = await world.wallet(0, 1_000)
    authorized = make.authorize(payer, 100)
    kept = make.authorize(payer, 7)
    hold = make.hold_of((await asyncio.wait_for(world.router.submit(kept, 1e12), 5)).outcome)
    futures = world.queue([authorized, make.void(hold._replace(hold_id=authorized.ref))])
    outcomes = [(await future).outcome for future in futures]
    assert [make.hold_of(o).state for o in outcomes] == [HoldState.AUTHORIZED, HoldState.VOIDED]
    rows = await world.sql(0, "SELECT state,open_until IS NULL FROM holds ORDER BY hold_id")
    assert sorted(rows) == [(1, 0), (3, 1)]
    await world.check()


async def test_lists_of_holds(world: World) -> None:
    """Newest first, in pages, of one state or of all."""
    router = await world.start()
    payer = await world.wallet(0, 1_000)
    shard = router.shard_of(payer)
    holds = [make.hold_of(await world.do(make.authorize(payer, n + 1))) for n in range(5)]
    await world.do(make.void(holds[1]))
    newest = [hold.hold_id for hold in sorted(holds, reverse=True)]
    page = await queries.holds_of(shard, payer, None, b"", 3)
    assert [hold.hold_id for hold in page] == newest[:3]
    rest = await queries.holds_of(shard, payer, None, page[-1].hold_id, 3)
    assert [hold.hold_id for hold in rest] == newest[3:]
    ended = await queries.holds_of(shard, payer, HoldState.VOIDED, b"", 9)
    assert [hold.hold_id for hold in ended] == [holds[1].hold_id]


async def test_captures_and_reversals_know_their_family(world: World) -> None:
    """A capture follows its hold, a reversal its original; what is reversed adds up, and ends."""
    router = await world.start()
    payer, shop = await world.wallet(0, 1_000), await world.wallet(1)
    hold = make.hold_of(await world.do(make.authorize(payer, 100)))
    captured = posted(await world.do(make.capture(hold, shop)))
    assert captured.state == TransactionState.COMPLETED
    home = router.shard_of(payer)
    stored = await queries.transaction(home, captured.command.ref)
    assert stored is not None
    assert (stored.type, stored.parent, stored.family) == (
        TransactionType.CAPTURE,
        hold.hold_id,
        hold.hold_id,
    )
    there = router.shard_of(shop)
    for amount, total in ((40, 40), (0, 100)):
        back = posted(await world.do(make.reverse(captured, amount, leg=0)))
        stored = await queries.transaction(there, back.command.ref)
        assert stored is not None
        assert (stored.parent, stored.family) == (captured.command.ref, hold.hold_id)
        rows = await there.query(
            "SELECT amount FROM reversed WHERE tx_id=%s", (captured.command.ref,)
        )
        assert rows == [(total,)]
    refused = await world.do(make.reverse(captured, 1, leg=0))
    assert reason(refused) == "TRANSACTION_REVERSED"
    await world.check()


async def test_several_postings_over_two_shards(world: World) -> None:
    """One transaction, two legs: done when both have landed, and its lines are kept."""
    router = await world.start()
    payer, near = await world.wallet(0, 1_000), await world.wallet(0)
    far, farther = await world.wallet(1), await world.wallet(1)
    lines = ((payer, near, 10), (payer, far, 20), (payer, farther, 30), (payer, make.FEES, 4))
    outcome = posted(await world.do(make.post(slot_of(payer), *lines)))
    assert (outcome.state, outcome.legs) == (TransactionState.COMPLETED, (1, 2))
    stored = await queries.transaction(router.shard_of(payer), outcome.command.ref)
    assert stored is not None
    assert stored.lines == outcome.lines
    assert [line.amount for line in stored.lines] == [10, 20, 30, 4]
    await world.settle()
    assert await world.state(0, outcome.command.ref) == TransactionState.COMPLETED
    assert [await world.posted(1, w) for w in (far, farther)] == [20, 30]
    await world.check()


async def test_a_returned_leg_makes_the_transaction_returned(world: World) -> None:
    """Of two legs one comes back: whichever closes last, the transaction stays RETURNED."""
    await world.start()
    payer, far, closed = await world.wallet(0, 100), await world.wallet(1), await world.wallet(1)
    await world.router.counterparties.look_up({far, closed})
    await world.do(world.change(WalletChangeKind.CLOSED, closed))
    known = world.router.counterparties
    stale = await known.look_up({far})
    stale[closed] = stale[far]

    async def look_up(_: set[bytes]) -> object:
        return dict(stale)

    known.look_up = look_up  # type: ignore[method-assign,assignment]
    outcome = await world.do(make.post(slot_of(payer), (payer, far, 10), (payer, closed, 20)))
    assert isinstance(outcome, Posted)
    assert outcome.state == TransactionState.PROCESSING
    await world.settle()
    assert await world.state(0, outcome.command.ref) == TransactionState.RETURNED
    assert await world.posted(0, payer) == 90
    await world.check()


async def test_a_system_wallet_pays_another_shard(world: World) -> None:
    """What `fees` pays away is routed by its transaction, and comes back where it can't land."""
    await world.start()
    payer, far = await world.wallet(0, 100), await world.wallet(1)
    posted(await world.do(make.post(slot_of(payer), (payer, make.FEES, 50))))
    outcome = posted(
        await world.do(make.post(slot_of(payer), (payer, make.FEES, 1), (make.FEES, far, 30)))
    )
    assert outcome.state == TransactionState.COMPLETED
    await world.check()
    rows = await world.sql(0, "SELECT posted FROM system_wallets WHERE kind=2")
    assert rows == [(21,)]


async def test_limits_are_kept_and_taken_away(world: World) -> None:
    """A wallet's and an account's limits with their usage; without them no row and no flag."""
    router = await world.start()
    account_id = account_on(0)
    outcome = await world.do(make.named(account_id, "main"))
    assert isinstance(outcome, WalletSet)
    wallet_id = outcome.facts.wallet_id
    shard = router.shard_of(wallet_id)
    posted(await world.do(world.deposit(wallet_id, 700)))
    for command in (
        make.limit_wallet(wallet_id, ALL_LIMITS),
        make.limit_account(account_id, of_an_account(ALL_LIMITS)),
    ):
        assert isinstance(await world.do(command), (WalletSet, AccountSet))
    posted(await world.do(world.transfer(wallet_id, await world.wallet(0), 300)))
    for owner in (wallet_id, account_owner(account_id, "EUR")):
        found = await queries.limits(shard, owner)
        assert found is not None
        limits, usage, _ = found
        assert limits.velocity == ALL_LIMITS.velocity
        assert [spent.debits for spent in usage] == [300, 300, 300]
    balance = await queries.balance(shard, wallet_id)
    assert balance is not None
    assert (balance.overdraft_limit, balance.flags) == (50, LIMITED | 8)
    for command in (
        make.limit_wallet(wallet_id, Limits()),
        make.limit_account(account_id, Limits()),
    ):
        assert isinstance(await world.do(command), (WalletSet, AccountSet))
    assert await world.sql(0, "SELECT COUNT(*) FROM limits") == [(0,)]
    balance = await queries.balance(shard, wallet_id)
    assert balance is not None
    assert (balance.overdraft_limit, balance.flags) == (0, 0)
    await world.check()


def of_an_account(limits: Limits) -> Limits:
    """Return limits that an account may have: it has no credit line."""
    return limits._replace(overdraft=0, over_capture_percent=0)


async def test_a_credit_line_holds_within_one_batch(world: World) -> None:
    """Raised and used, or paid back and lowered, in one batch: no row ever breaks its CHECK."""
    await world.start()
    wallet_id, other = await world.wallet(0), await world.wallet(0)
    futures = world.queue(
        [
            make.limit_wallet(wallet_id, Limits(overdraft=100)),
            world.transfer(wallet_id, other, 80),
        ]
    )
    assert all([isinstance((await f).outcome, (WalletSet, Posted)) for f in futures])
    futures = world.queue([world.deposit(wallet_id, 80), make.limit_wallet(wallet_id, Limits())])
    assert all([isinstance((await f).outcome, (WalletSet, Posted)) for f in futures])
    assert await world.posted(0, wallet_id) == 0
    await world.check()


async def test_accounts_aliases_and_assets(world: World) -> None:
    """What is frozen, named and registered is found again, and a name is given once."""
    router = await world.start()
    account_id = account_on(1)
    shard = router.shard_of_slot(slot_of_account(account_id))
    first = await world.do(make.named(account_id, "savings"))
    assert isinstance(first, WalletSet)
    name = (account_id, "savings")
    named = await queries.aliases(shard, [name, (account_id, "other"), ("other", "savings")])
    assert named == {name: first.facts.wallet_id}
    assert reason(await world.do(make.named(account_id, "savings"))) == "ALIAS_TAKEN"
    frozen = await world.do(make.freeze_account(account_id, AccountFreeze.DEBITS))
    assert isinstance(frozen, AccountSet)
    assert frozen.wallets == 1
    rows = await shard.query("SELECT freeze FROM accounts WHERE account_id=%s", (account_id,))
    assert rows == [(AccountFreeze.DEBITS,)]
    second = await world.do(make.named(account_id, "later"))
    assert isinstance(second, WalletSet)
    stored = await queries.wallet(shard, second.facts.wallet_id)
    assert stored is not None
    assert (stored.facts.alias, stored.flags) == ("later", AccountFreeze.DEBITS)
    updated = await world.do(make.update(second.facts.wallet_id, b'{"m":{"a":"b"}}'))
    assert isinstance(updated, WalletSet)
    stored = await queries.wallet(shard, second.facts.wallet_id)
    assert stored is not None
    assert stored.facts.opaque == b'{"m":{"a":"b"}}'
    slot = slot_of_account(account_id)
    assert isinstance(await world.do(make.register(slot, "POINTS", 0)), AssetSet)
    assert await queries.assets(shard) == {"POINTS": 0}
    assert await queries.assets_of(shard, ["POINT", "POINTS", "POINTSX"]) == {"POINTS": 0}
    assert reason(await world.do(make.register(slot, "POINTS", 2))) == "ASSET_EXISTS"
    await world.check()


async def test_an_atomic_batch_is_kept_whole(world: World) -> None:
    """Every part is kept with its own key; a decline of one leaves nothing of the others."""
    await world.start()
    payer, shop, far = [await world.wallet(n, amount) for n, amount in ((0, 100), (0, 0), (1, 0))]
    done = make.atomic(world.transfer(payer, shop, 10), world.transfer(payer, far, 20))
    outcome = await world.do(done)
    assert isinstance(outcome, AtomicSet)
    parts = [posted(part) for part in outcome.outcomes]
    assert [part.state for part in parts] == [TransactionState.COMPLETED] * 2
    replayed = await world.do(done._replace(ref=new_id(done.slot)))
    assert isinstance(replayed, AtomicSet)
    assert replayed.replayed
    refused = await world.do(
        make.atomic(world.transfer(payer, shop, 10), world.transfer(payer, shop, 1_000))
    )
    assert reason(refused) == "INSUFFICIENT_FUNDS"
    assert await world.posted(0, payer) == 70
    await world.check()


async def test_replays_of_every_kind(world: World) -> None:
    """The same request again, as another command: the reply of before, marked as such."""
    await world.start()
    account_id = account_on(0)
    made = await world.do(make.named(account_id, "a"))
    assert isinstance(made, WalletSet)
    payer, shop = made.facts.wallet_id, await world.wallet(0)
    deposit = world.deposit(payer, 500)
    original = posted(await world.do(deposit))
    authorized = make.authorize(payer, 50)
    hold = make.hold_of(await world.do(authorized))
    commands: list[KeyedCommand] = [
        deposit,
        authorized,
        make.increment(hold, 5),
        make.extend(hold, make.in_us(9_000)),
        make.capture(hold, shop, 20),
        make.void(hold),
        make.reverse(original, 5),
        make.post(slot_of(payer), (payer, shop, 1), (payer, make.FEES, 2)),
        make.limit_wallet(payer, ALL_LIMITS),
        make.limit_account(account_id, Limits(max_transaction=400)),
        make.freeze_account(account_id),
        make.update(payer, b"{}"),
        make.register(slot_of(payer), "MILES", 2),
    ]
    first = [await world.do(command) for command in commands]
    second = [await world.do(c._replace(ref=new_id(c.slot))) for c in commands]
    for command, before, after in zip(commands, first, second, strict=True):
        assert getattr(after, "replayed", False), (command, after)
        if isinstance(before, Posted) and isinstance(after, Posted):
            assert (after.command.ref, after.source_after) == (
                before.command.ref,
                before.source_after,
            )
        if isinstance(before, HoldSet) and isinstance(after, HoldSet):
            assert after.after == before.after
    await world.check()


async def test_records_tell_everything(world: World) -> None:
    """Hold, wallet, account and asset changes are in the record of their batch."""
    await world.start()
    account_id = account_on(0)
    made = await world.do(make.named(account_id, "main"))
    assert isinstance(made, WalletSet)
    change = (await _last_record(world, 0)).wallet_changes[0]
    assert (change.alias, change.previous_status) == ("main", 0)
    wallet_id = made.facts.wallet_id
    await world.do(world.deposit(wallet_id, 100))
    hold = make.hold_of(await world.do(make.authorize(wallet_id, 30)))
    (held,) = (await _last_record(world, 0)).hold_changes
    assert (held.hold_id, held.held_after_minor, held.destination) == (hold.hold_id, 30, b"")
    assert (held.reference, held.opaque) == (b"order 7", b'{"d":"table"}')
    await world.do(make.freeze_account(account_id))
    record = await _last_record(world, 0)
    assert [c.account_id for c in record.account_changes] == [account_id]
    (change,) = record.wallet_changes
    assert (change.account_freeze, change.previous_account_freeze) == (2, 0)
    await world.do(make.register(slot_of(wallet_id), "GOLD", 3))
    (asset,) = (await _last_record(world, 0)).asset_registrations
    assert (asset.currency_code, asset.exponent) == ("GOLD", 3)
