"""Choose who pays whom, many at a time: the same draws for the same seed. Pure."""

import itertools
import random
from collections.abc import Mapping, Sequence

from bench.scenarios import Pairing, shard_of

Pair = tuple[str, str]

POPULAR_WALLETS = 0.2
POPULAR_DRAWS = 0.8
_HALVINGS = 50


def choose(
    pairing: Pairing, wallets: Sequence[str], shards: int, count: int, draw: random.Random
) -> list[Pair]:
    """Return payers and payees, never a wallet with itself. ValueError when there is no such pair.

    For one payer it is the first wallet.
    """
    if pairing == "skew":
        return _skewed(wallets, count, draw)
    pools = _pools(pairing, wallets, shards)
    payers = [wallets[0]] if pairing.startswith("hot") else wallets
    if any(pool in ([], [payer]) for payer in payers for pool in [pools[payer]]):
        raise ValueError(f"{len(wallets)} wallets on {shards} shards give no pair {pairing}")
    return [(payer, other(pools[payer], payer, draw)) for payer in draw.choices(payers, k=count)]


def other(pool: Sequence[str], payer: str, draw: random.Random) -> str:
    """Draw a payee from a pool, which has another wallet than the payer."""
    while (payee := draw.choice(pool)) == payer:
        pass
    return payee


def by_shard(wallets: Sequence[str], shards: int) -> list[list[str]]:
    """Return the wallets of each shard."""
    groups: list[list[str]] = [[] for _ in range(shards)]
    for wallet in wallets:
        groups[shard_of(wallet, shards)].append(wallet)
    return groups


def zipf_weights(count: int) -> list[float]:
    """Weigh ranks by Zipf's law, so steeply that a fifth of them has four fifths of the draws."""
    low, high = 0.0, 10.0
    for _ in range(_HALVINGS):
        steepness = (low + high) / 2
        weights = [rank**-steepness for rank in range(1, count + 1)]
        if sum(weights[: round(count * POPULAR_WALLETS)]) < POPULAR_DRAWS * sum(weights):
            low = steepness
        else:
            high = steepness
    return [rank**-high for rank in range(1, count + 1)]


def _pools(pairing: Pairing, wallets: Sequence[str], shards: int) -> Mapping[str, Sequence[str]]:
    """Return whom each wallet may pay; itself may be among them."""
    if pairing in ("uniform", "hot"):
        return dict.fromkeys(wallets, wallets)
    groups = by_shard(wallets, shards)
    if pairing == "across":
        there = [
            [wallet for other, group in enumerate(groups) if other != here for wallet in group]
            for here in range(shards)
        ]
    else:
        there = groups
    return {wallet: there[here] for here, group in enumerate(groups) for wallet in group}


def _skewed(wallets: Sequence[str], count: int, draw: random.Random) -> list[Pair]:
    """Draw both sides by the same popularity, and both again where they are one wallet."""
    cumulated = list(itertools.accumulate(zipf_weights(len(wallets))))
    made: list[Pair] = []
    while len(made) < count:
        missing = count - len(made)
        payers = draw.choices(wallets, cum_weights=cumulated, k=missing)
        payees = draw.choices(wallets, cum_weights=cumulated, k=missing)
        made += [pair for pair in zip(payers, payees, strict=True) if pair[0] != pair[1]]
    return made
