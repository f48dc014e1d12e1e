"""Races of two processes over limits, holds and accounts: exactly one of each pair wins."""

import asyncio
from collections.abc import Sequence

import pytest

from tests.engine import movements as make
from tests.engine.faulty_shard import FaultyShard, Point
from tests.engine.test_shedding import hold as hold_back
from tests.engine.world import World, account_on, posted, until
from wallet.domain.commands import Limits, VelocityLimit
from wallet.domain.kinds import (
    AccountFreeze,
    HoldState,
    VelocityBasis,
    VelocityWindow,
    WalletStatus,
)
from wallet.domain.outcome import AccountSet, HoldSet, Outcome, Posted, WalletSet
from wallet.engine.router import Router
from wallet.store import queries
from walletkit.errors import ServiceError

SPENDERS = 200
ROUNDS = 12


def reasons(outcomes: Sequence[Outcome]) -> set[str]:
    """Return why those that were declined were."""
    return {outcome.reason for outcome in outcomes if isinstance(outcome, ServiceError)}


@pytest.mark.parametrize("whose", ["wallet", "account"])
async def test_spenders_never_exceed_a_velocity_limit(world: World, whose: str) -> None:
    """Two hundred spenders of ten over two processes, a thousand allowed: exactly a hundred."""
    routers = [await world.start(), await world.start()]
    account_id = account_on(0)
    wallets = []
    for name in ("a", "b"):
        made = await world.do(make.named(account_id, name))
        assert isinstance(made, WalletSet)
        wallets.append(made.facts.wallet_id)
        posted(await world.do(world.deposit(wallets[-1], 5_000)))
    near, far = await world.wallet(0), await world.wallet(1)
    velocity = (VelocityLimit(VelocityWindow.MONTH, VelocityBasis.DEBITS, 1_000, 0),)
    limits = Limits(velocity=velocity)
    if whose == "wallet":
        wallets = wallets[:1]
        await world.do(make.limit_wallet(wallets[0], limits))
    else:
        await world.do(make.limit_account(account_id, limits))
    outcomes = await asyncio.gather(
        *[
            world.do(
                world.transfer(wallets[n % len(wallets)], (near, far)[n // 2 % 2], 10),
                router=routers[n // 4 % 2],
            )
            for n in range(SPENDERS)
        ]
    )
    assert sum(isinstance(outcome, Posted) for outcome in outcomes) == 100
    assert reasons(outcomes) == {"VELOCITY_LIMIT"}
    await world.check()


async def test_holds_and_spenders_share_an_accounts_limit(world: World) -> None:
    """Half of them reserve, half spend, from two wallets in two processes: together the limit."""
    routers = [await world.start(), await world.start()]
    account_id = account_on(0)
    wallets = []
    for name in ("a", "b"):
        made = await world.do(make.named(account_id, name))
        assert isinstance(made, WalletSet)
        wallets.append(made.facts.wallet_id)
        posted(await world.do(world.deposit(wallets[-1], 5_000)))
    shop = await world.wallet(0)
    velocity = (VelocityLimit(VelocityWindow.MONTH, VelocityBasis.DEBITS, 500, 0),)
    await world.do(make.limit_account(account_id, Limits(velocity=velocity)))
    outcomes = await asyncio.gather(
        *[
            world.do(
                make.authorize(wallets[n % 2], 10)
                if n // 2 % 2
                else world.transfer(wallets[n % 2], shop, 10),
                router=routers[n // 4 % 2],
            )
            for n in range(120)
        ]
    )
    assert sum(isinstance(outcome, (Posted, HoldSet)) for outcome in outcomes) == 50
    held = sum(isinstance(outcome, HoldSet) for outcome in outcomes) * 10
    assert await world.sql(0, "SELECT held FROM limits") == [(held,)]
    await world.check()


async def test_a_hold_ends_once(world: World) -> None:
    """Captured, voided and expired at the same moment by two processes: one of them wins."""
    routers = [await world.start(), await world.start()]
    payer, shop = await world.wallet(0, 10_000), await world.wallet(1)
    winners = dict.fromkeys(HoldState, 0)
    for n in range(ROUNDS):
        hold = make.hold_of(await world.do(make.authorize(payer, 10, seconds=0.4)))
        left_s = (hold.expire_time_us - make.in_us(0)) / 1_000_000
        await asyncio.sleep(max(0.0, left_s - 0.004 * (n % 3)))
        outcomes = await asyncio.gather(
            world.do(make.capture(hold, shop), router=routers[n % 2]),
            world.do(make.void(hold), router=routers[1 - n % 2]),
        )
        won = [outcome for outcome in outcomes if not isinstance(outcome, ServiceError)]
        assert len(won) <= 1
        assert reasons(outcomes) <= {"HOLD_CAPTURED", "HOLD_VOIDED", "HOLD_EXPIRED"}
        await _ended(routers[0], hold.wallet_id, hold.hold_id)
        stored = await queries.hold(routers[0].shard_of(payer), hold.hold_id)
        assert stored is not None
        winners[stored.state] += 1
        assert bool(won) == (stored.state != HoldState.EXPIRED)
    assert winners[HoldState.AUTHORIZED] == 0
    await world.settle()
    assert await world.posted(1, shop) == 10 * winners[HoldState.CAPTURED]
    await world.check()


async def _ended(router: Router, wallet_id: bytes, hold_id: bytes) -> None:
    async with asyncio.timeout(5):
        while True:
            hold = await queries.hold(router.shard_of(wallet_id), hold_id)
            assert hold is not None
            if hold.state != HoldState.AUTHORIZED:
                return
            await asyncio.sleep(0.02)


async def test_no_capture_passes_what_is_reserved(world: World) -> None:
    """Fifty captures of a hold over two processes: what it reserves, and not one more."""
    routers = [await world.start(), await world.start()]
    payer, shop = await world.wallet(0, 1_000), await world.wallet(0)
    hold = make.hold_of(await world.do(make.authorize(payer, 100)))
    outcomes = await asyncio.gather(
        *[world.do(make.capture(hold, shop, 7), router=routers[n % 2]) for n in range(50)]
    )
    assert sum(isinstance(outcome, Posted) for outcome in outcomes) == 14
    assert await world.posted(0, shop) == 98
    await world.check()


async def test_one_original_is_reversed_once(world: World) -> None:
    """Forty part reversals over two processes add up to the original, and never to more."""
    routers = [await world.start(), await world.start()]
    payer, shop = await world.wallet(0, 100), await world.wallet(0)
    original = posted(await world.do(world.transfer(payer, shop, 100)))
    posted(await world.do(world.deposit(shop, 1_000)))
    outcomes = await asyncio.gather(
        *[world.do(make.reverse(original, 7), router=routers[n % 2]) for n in range(40)]
    )
    assert sum(isinstance(outcome, Posted) for outcome in outcomes) == 14
    assert await world.posted(0, payer) == 98
    await world.check()


async def test_a_freeze_misses_no_wallet_that_is_being_created(world: World) -> None:
    """An account frozen by one process while another creates its wallets: all are frozen."""
    routers = [await world.start(), await world.start()]
    for _ in range(4):
        account_id = account_on(0)
        assert isinstance(await world.do(make.named(account_id, "first")), WalletSet)
        outcomes = await asyncio.gather(
            *[world.do(make.named(account_id, f"w{n}"), router=routers[1]) for n in range(10)],
            world.do(make.freeze_account(account_id), router=routers[0]),
            *[world.do(make.named(account_id, f"v{n}"), router=routers[1]) for n in range(10)],
        )
        assert reasons(outcomes) == set()
        rows = await world.sql(
            0,
            "SELECT DISTINCT b.flags FROM wallets w JOIN balances b USING(wallet_id)"
            f" WHERE w.account_id='{account_id}'",
        )
        assert rows == [(int(AccountFreeze.ALL),)]
    await world.check()


async def test_a_creator_waits_for_the_freeze(world: World) -> None:
    """While a freeze is at its commit nobody reads the account as it was before."""
    routers = [await world.start(), await world.start()]
    account_id = account_on(0)
    await world.do(make.named(account_id, "first"))
    second = routers[1].loops[0].shard
    assert isinstance(second, FaultyShard)
    released = hold_back(world.shards[0], Point.BEFORE_SAVE)
    saves = world.shards[0].saves
    freezing = asyncio.create_task(world.do(make.freeze_account(account_id)))
    await until(lambda: world.shards[0].saves > saves)
    creating = asyncio.create_task(world.do(make.named(account_id, "late"), router=routers[1]))
    await asyncio.sleep(0.2)
    assert (second.loads, second.saves) == (1, 0)
    released.set()
    assert isinstance(await freezing, AccountSet)
    made = await creating
    assert isinstance(made, WalletSet)
    assert made.account_freeze == AccountFreeze.ALL
    await world.check()


@pytest.mark.parametrize("freeze", ["account", "debits"])
async def test_no_debit_passes_after_a_freeze(world: World, freeze: str) -> None:
    """Storms of debits and credits from the other shard stop with the reply of the freeze."""
    routers = [await world.start(), await world.start()]
    account_id = account_on(0)
    made = await world.do(make.named(account_id, "a"))
    assert isinstance(made, WalletSet)
    wallet_id = made.facts.wallet_id
    posted(await world.do(world.deposit(wallet_id, 10_000)))
    far = await world.wallet(1, 10_000)
    frozen = asyncio.Event()
    passed: list[Outcome] = []

    async def storm(source: bytes, destination: bytes, router: Router) -> None:
        while not frozen.is_set():
            await world.do(world.transfer(source, destination, 1), router=router)
        passed.append(await world.do(world.transfer(source, destination, 1), router=router))

    storms = [
        asyncio.create_task(storm(*sides, routers[n % 2]))
        for n in range(4)
        for sides in ([(wallet_id, far), (far, wallet_id)])
    ]
    await asyncio.sleep(0.2)
    command = make.freeze_account(account_id)
    if freeze == "debits":
        change = world.change(make.FROZEN, wallet_id)
        await world.do(change._replace(status=WalletStatus.DEBITS_FROZEN))
    else:
        await world.do(command)
    frozen.set()
    await asyncio.gather(*storms)
    if freeze == "account":
        assert reasons(passed) == {"ACCOUNT_FROZEN"}
        assert not any(isinstance(outcome, Posted) for outcome in passed)
    else:
        assert sum(isinstance(outcome, Posted) for outcome in passed) == 4
        assert reasons(passed) == {"WALLET_FROZEN"}
    await world.check()
