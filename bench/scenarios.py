"""What is measured: one line a scenario. Pure.

A shard is what a fresh suite makes of a wallet's slot: equal ranges of slots, in order.
"""

import argparse
from dataclasses import dataclass
from typing import Literal

from walletkit.ids import SLOTS, parse_id, slot_of

Pairing = Literal["within", "across", "uniform", "hot", "hot-within", "skew"]
Client = Literal["ghz", "pairs", "packed"]

_WALLET = "guilder.wallet.v1.WalletService"
_LEDGER = "guilder.ledger.v1.LedgerService"
_CALLERS = (1, 32, 128, 512)
_STREAMS = (1, 4, 16)
LEGS = 5


@dataclass(frozen=True, slots=True)
class Scenario:
    """One kind of movement, and who makes it."""

    name: str
    about: str
    """What one movement is."""
    method: str
    """The gRPC method that is called."""
    client: Client = "ghz"
    pairing: Pairing = "within"
    """Who pays whom."""
    commands: float = 1.0
    """Commands a movement: a transfer to another shard is a debit here and a credit there."""
    keyed: bool = True
    """Whether calls change something, so that each needs a key of its own."""
    concurrencies: tuple[int, ...] = _CALLERS
    per_call: int = 1
    """Movements a call, or a message of a stream."""

    @property
    def service(self) -> Literal["wallet", "ledger"]:
        """Return the process that answers."""
        return "ledger" if self.method.startswith(_LEDGER) else "wallet"

    @property
    def main(self) -> int:
        """Return the concurrency at which it runs in every round."""
        return 4 if self.client == "packed" else 128


_TRANSFER = f"{_WALLET}/Transfer"
_BATCH = f"{_WALLET}/BatchTransfer"
_ALL = (
    Scenario("within", "transfer, both wallets on one shard", _TRANSFER),
    Scenario("across", "transfer between shards", _TRANSFER, pairing="across", commands=2.0),
    Scenario(
        "uniform",
        "transfer, any two wallets: half of them across",
        _TRANSFER,
        pairing="uniform",
        commands=1.5,
    ),
    Scenario(
        "hot",
        "transfer, one wallet pays any other: half of them across",
        _TRANSFER,
        pairing="hot",
        commands=1.5,
    ),
    Scenario(
        "hot-within",
        "transfer, one wallet pays any other of its shard",
        _TRANSFER,
        pairing="hot-within",
    ),
    Scenario(
        "skew",
        "transfer, Zipf: a fifth of the wallets has four fifths of the sides",
        _TRANSFER,
        pairing="skew",
        commands=1.5,
    ),
    Scenario("deposit", "deposit into any wallet", f"{_WALLET}/Deposit"),
    Scenario(
        "hold",
        "authorize and capture, two calls; the payee on the payer's shard",
        f"{_WALLET}/CaptureHold",
        client="pairs",
        commands=2.0,
    ),
    Scenario(
        "legs",
        "transaction of five postings: four wallets of the payer's shard, and fees",
        f"{_WALLET}/PostTransaction",
    ),
    Scenario("balance", "balance read of any wallet", f"{_WALLET}/GetBalance", keyed=False),
    Scenario(
        "statement",
        "page of 50 entries of any wallet, from the ledger",
        f"{_LEDGER}/ListEntries",
        keyed=False,
    ),
    Scenario(
        "batch-100",
        "transfer within a shard, 100 in a BatchTransfer",
        _BATCH,
        client="packed",
        concurrencies=_STREAMS,
        per_call=100,
    ),
    Scenario(
        "batch-1000",
        "transfer within a shard, 1,000 in a BatchTransfer",
        _BATCH,
        client="packed",
        concurrencies=_STREAMS,
        per_call=1_000,
    ),
    Scenario(
        "stream",
        "transfer within a shard, 100 in a message of StreamTransfers",
        f"{_WALLET}/StreamTransfers",
        client="packed",
        concurrencies=_STREAMS,
        per_call=100,
    ),
)
SCENARIOS = {scenario.name: scenario for scenario in _ALL}


def shard_of(wallet_id: str, shards: int) -> int:
    """Return the shard of a wallet, of as many as a fresh suite has."""
    slot = slot_of(parse_id(wallet_id))
    return next(n for n in range(shards) if slot < SLOTS * (n + 1) // shards)


def named(text: str) -> list[Scenario]:
    """Read names as an argument has them, `within,hot`. Raise ``ArgumentTypeError`` for others."""
    names = text.split(",")
    if unknown := [name for name in names if name not in SCENARIOS]:
        raise argparse.ArgumentTypeError(f"there is no scenario {', '.join(unknown)}")
    return [SCENARIOS[name] for name in names]
