"""Assets are registered once, for good."""

from tests.domain.commands_for_tests import HERE, make_batch, register
from wallet.domain.asset import MAX_ASSETS
from wallet.domain.batch import NewAsset
from wallet.domain.decide import decide
from wallet.domain.outcome import AssetSet
from walletkit.errors import Code, ServiceError


def test_an_asset_is_registered() -> None:
    """It is noted once, and the rest of the batch knows it."""
    batch = make_batch()
    assert decide(batch, register("POINTS", 3)) == AssetSet("POINTS", 3, replayed=False)
    assert decide(batch, register("POINTS", 3, key="2")) == AssetSet("POINTS", 3, replayed=False)
    assert batch.changes.assets == [NewAsset("POINTS", 3, HERE)]
    assert batch.assets == {"POINTS": 3}


def test_the_same_again_changes_nothing() -> None:
    """One that is registered as asked is a success, kept with its key."""
    batch = make_batch()
    batch.assets["POINTS"] = 3
    assert decide(batch, register("POINTS", 3)) == AssetSet("POINTS", 3, replayed=False)
    assert (batch.changes.assets, len(batch.changes.keys)) == ([], 1)


def test_another_exponent_is_refused() -> None:
    """It would change what every amount means."""
    batch = make_batch()
    batch.assets["POINTS"] = 3
    refusal = decide(batch, register("POINTS", 0))
    assert isinstance(refusal, ServiceError)
    assert (refusal.reason, refusal.code) == ("ASSET_EXISTS", Code.FAILED_PRECONDITION)
    shown = {"currency_code": "POINTS", "exponent": "3", "requested_exponent": "0"}
    assert refusal.metadata == shown
    assert (batch.changes.assets, batch.assets) == ([], {"POINTS": 3})


def test_there_is_an_end_of_assets() -> None:
    """Those that the batch itself has registered count, too; what is there can be asked again."""
    batch = make_batch()
    batch.asset_count = MAX_ASSETS - 1
    assert isinstance(decide(batch, register("POINTS", 3)), AssetSet)
    refusal = decide(batch, register("MILES", 3, key="2"))
    assert isinstance(refusal, ServiceError)
    assert (refusal.reason, refusal.metadata["limit"]) == ("ASSET_LIMIT", str(MAX_ASSETS))
    assert isinstance(decide(batch, register("POINTS", 3, key="3")), AssetSet)
