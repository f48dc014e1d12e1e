"""What ghz is given: the pairs that a scenario says, keys that come once, bytes in its form."""

import random
from collections import Counter
from itertools import islice
from pathlib import Path

import pytest

from bench import calls, pairs
from bench.scenarios import SCENARIOS, Pairing, shard_of
from guilder.wallet.v1.postings_pb2 import PostTransactionRequest
from guilder.wallet.v1.wallet_service_pb2 import TransferRequest

SHARDS = 2
COUNT = 20_000


def drawn(pairing: Pairing, wallets: list[str], shards: int = SHARDS) -> list[pairs.Pair]:
    """Choose pairs by a fixed seed."""
    return pairs.choose(pairing, wallets, shards, COUNT, random.Random(1))


def across(chosen: list[pairs.Pair], shards: int = SHARDS) -> float:
    """Return the share of pairs whose sides are on different shards."""
    return sum(shard_of(a, shards) != shard_of(b, shards) for a, b in chosen) / len(chosen)


@pytest.mark.parametrize("shards", [2, 3])
@pytest.mark.parametrize(
    ("pairing", "least", "most"),
    [("within", 0, 0), ("hot-within", 0, 0), ("across", 1, 1), ("uniform", 0.48, 0.69)],
)
def test_pairs_lie_where_the_scenario_says(
    pairing: Pairing, least: float, most: float, shards: int, unmade: list[str]
) -> None:
    """All on one shard, none, or as chance has it; nobody pays himself."""
    chosen = drawn(pairing, unmade, shards)
    assert least <= across(chosen, shards) <= most
    assert all(payer != payee for payer, payee in chosen)


@pytest.mark.parametrize("pairing", ["hot", "hot-within"])
def test_one_wallet_pays_all(pairing: Pairing, unmade: list[str]) -> None:
    """The payer is one, the payees are many."""
    chosen = drawn(pairing, unmade)
    assert {payer for payer, _ in chosen} == {unmade[0]}
    assert len({payee for _, payee in chosen}) >= 498


def test_every_wallet_takes_part(unmade: list[str]) -> None:
    """Uniform pairs load no wallet much more than another."""
    sides = Counter(wallet for pair in drawn("uniform", unmade) for wallet in pair)
    assert len(sides) == len(unmade)
    assert max(sides.values()) < 3 * 2 * COUNT / len(unmade)


def test_a_fifth_of_the_wallets_has_four_fifths_of_the_sides(unmade: list[str]) -> None:
    """The skew is 80/20, and steep within the popular fifth too."""
    chosen = drawn("skew", unmade)
    sides = sorted(Counter(wallet for pair in chosen for wallet in pair).values(), reverse=True)
    assert 0.78 < sum(sides[:200]) / sum(sides) < 0.82
    assert sides[0] > 5 * sides[20]
    assert all(payer != payee for payer, payee in chosen)


def test_no_pair_is_an_error(unmade: list[str]) -> None:
    """A single wallet pays nobody, and one shard has no other: neither hangs."""
    with pytest.raises(ValueError, match="no pair"):
        drawn("uniform", unmade[:1])
    with pytest.raises(ValueError, match="no pair"):
        drawn("across", unmade, shards=1)


@pytest.mark.parametrize("name", [name for name, scenario in SCENARIOS.items() if scenario.keyed])
def test_no_key_comes_twice(name: str, unmade: list[str]) -> None:
    """Neither within a run nor in the next one, whose wallets and amounts are the same."""
    first, second = (list(calls.requests(SCENARIOS[name], unmade, SHARDS, 500)) for _ in range(2))
    keys = {message.idempotency_key for message in [*first, *second]}  # type: ignore[attr-defined]
    assert len(keys) == 1_000
    for message in [*first, *second]:
        message.ClearField("idempotency_key")
    assert first == second


def test_captures_name_each_hold_once() -> None:
    """A hold is captured by one call, with a key of its own."""
    made = list(calls.captures(["a", "b"]))
    assert [message.hold_id for message in made] == ["a", "b"]  # type: ignore[attr-defined]
    assert len({message.idempotency_key for message in made}) == 2  # type: ignore[attr-defined]


def test_a_transaction_stays_on_the_shard_of_its_payer(unmade: list[str]) -> None:
    """Five postings, one of them fees, of five wallets on one shard."""
    for message in calls.requests(SCENARIOS["legs"], unmade, SHARDS, 50):
        assert isinstance(message, PostTransactionRequest)
        sides = {
            wallet
            for p in message.postings
            for wallet in (p.source_wallet_id, p.destination_wallet_id)
        }
        assert len(message.postings) == 5
        assert len({shard_of(wallet, SHARDS) for wallet in sides - {calls.FEES}}) == 1
        assert len(sides) == 6


def test_the_file_is_messages_with_their_lengths(tmp_path: Path, unmade: list[str]) -> None:
    """Short and long messages are read back, one after the other."""
    written = list(islice(calls.requests(SCENARIOS["uniform"], unmade, SHARDS, 3), 3))
    written[1].description = "x" * 20_000  # type: ignore[attr-defined]
    calls.write(tmp_path / "calls", written)
    left, read = (tmp_path / "calls").read_bytes(), []
    while left:
        length, shift = 0, 0
        while True:
            byte, left = left[0], left[1:]
            length |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                break
        read.append(TransferRequest.FromString(left[:length]))
        left = left[length:]
    assert read == written
