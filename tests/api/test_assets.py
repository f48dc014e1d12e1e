"""Registered assets: known to every process at once, with their exponent in every reply."""

import secrets
from collections.abc import Collection

import pytest

from tests.api.failures import declined, failure_of, invalid
from tests.api.suite import Suite, money
from wallet.store import queries
from wallet.store.shard import Shard
from walletkit import money as currencies


def fresh_code() -> str:
    """Return a code that no test has used."""
    return f"X{secrets.token_hex(4).upper()}"


async def register(suite: Suite, exponent: int) -> str:
    """Register an asset; return its code."""
    code = fresh_code()
    reply = await suite.do("RegisterAsset", currency_code=code, exponent=exponent)
    assert (reply.asset.currency_code, reply.asset.exponent) == (code, exponent)
    assert reply.asset.registered
    return code


@pytest.mark.parametrize("exponent", [0, 8])
async def test_t16_registered_assets_are_held_and_moved(suite: Suite, exponent: int) -> None:
    """Like any currency; the exponent stands in every reply."""
    code = await register(suite, exponent)
    one, other = await suite.wallet(currency=code), await suite.wallet(shard=1, currency=code)
    deposit = await suite.deposit(one, 10**15, currency=code)
    assert (deposit.balance.exponent, deposit.transaction.exponent) == (exponent, exponent)
    reply = await suite.transfer(one, other, 5, currency=code)
    assert reply.transaction.exponent == exponent
    hold = (await suite.do("Authorize", wallet_id=one, amount=money(1, code))).hold
    assert hold.exponent == exponent
    await suite.do("VoidHold", hold_id=hold.hold_id)
    wallet = (await suite.do("GetWallet", wallet_id=one)).wallet
    assert (wallet.currency_code, wallet.exponent) == (code, exponent)
    euros = await suite.wallet(10)
    assert (await failure_of(suite.transfer(euros, other, 1))).reason == "CURRENCY_MISMATCH"
    listed = (await suite.do("ListAssets")).assets
    assert [asset.currency_code for asset in listed] == sorted(a.currency_code for a in listed)
    found = {asset.currency_code: (asset.exponent, asset.registered) for asset in listed}
    assert found[code] == (exponent, True)
    assert (found["EUR"], found["JPY"], found["KWD"]) == ((2, False), (0, False), (3, False))


async def test_asset_never_changes(suite: Suite) -> None:
    """The same again is fine; another exponent is refused; so are the codes of ISO 4217."""
    code = await register(suite, 3)
    await suite.do("RegisterAsset", currency_code=code, exponent=3)
    failure = await failure_of(suite.do("RegisterAsset", currency_code=code, exponent=4))
    shown = {"currency_code": code, "exponent": 3, "requested_exponent": 4}
    assert failure == declined("ASSET_EXISTS", **shown)


async def test_registration_is_replayed(suite: Suite) -> None:
    """A key means one exponent."""
    code, key = fresh_code(), suite.key()
    ask = {"currency_code": code, "idempotency_key": key}
    first = await suite.do("RegisterAsset", **ask, exponent=1)
    again = await suite.do("RegisterAsset", **ask, exponent=1)
    assert (first.replayed, again.replayed) == (False, True)
    failure = await failure_of(suite.do("RegisterAsset", **ask, exponent=2))
    assert failure.reason == "IDEMPOTENCY_KEY_REUSED"


@pytest.mark.parametrize(
    ("code", "exponent", "field"),
    [
        *[(code, 2, "currency_code") for code in ("", "EU", "eur", "EUR", "1AB", "A" * 13, "A-B")],
        ("GOLDX", 9, "exponent"),
        ("GOLDX", 2**32 - 1, "exponent"),
    ],
)
async def test_bad_assets(suite: Suite, code: str, exponent: int, field: str) -> None:
    """3 to 12 letters and digits, none of ISO 4217's; at most 8 decimal digits."""
    call = suite.do("RegisterAsset", currency_code=code, exponent=exponent)
    assert await failure_of(call) == invalid(field)


async def test_asset_of_another_process(suite: Suite, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was registered elsewhere is found when it is first named, or first shown."""
    code = await register(suite, 2)
    wallet = await suite.wallet(5, currency=code)
    known = dict(currencies._registered)
    for name in ("GetWallet", "GetBalance"):
        currencies._registered.clear()
        await suite.do(name, wallet_id=wallet)
        assert currencies._registered[code] == 2
    currencies._registered.clear()
    assert (await suite.withdraw(wallet, 1, currency=code)).balance.exponent == 2
    currencies._registered.update(known)


async def test_t16_currency_of_nobody(suite: Suite, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is malformed, and for a moment nobody is asked again; beside other faults it is named."""
    wallet, code = await suite.wallet(10), fresh_code()
    asked: list[str] = []
    real = queries.assets_of

    async def counted(shard: Shard, codes: Collection[str]) -> dict[str, int]:
        asked.extend(codes)
        return await real(shard, codes)

    monkeypatch.setattr(queries, "assets_of", counted)
    for _ in range(5):
        failure = await failure_of(suite.deposit(wallet, 1, currency=code))
        assert failure == invalid("amount.currency_code")
    assert asked == [code]
    other = fresh_code()
    failure = await failure_of(suite.deposit(wallet, 0, currency=other, reference="r" * 65))
    assert failure == invalid("amount.amount_minor", "amount.currency_code", "reference")
