"""Write what ghz sends, ahead of a run: serialized requests, each with a key of its own.

Ahead, and as protobuf, because ghz takes as long to fill in a template, or to read JSON, as the
suite to make a transfer.
"""

import random
import secrets
from collections.abc import Iterable, Iterator, Sequence
from io import BytesIO
from pathlib import Path

from google.protobuf.message import Message
from google.protobuf.proto import serialize_length_prefixed

from bench import pairs
from bench.scenarios import LEGS, Scenario
from guilder.ledger.v1.ledger_service_pb2 import ListEntriesRequest
from guilder.type.v1.money_pb2 import Money
from guilder.wallet.v1.holds_pb2 import AuthorizeRequest, CaptureHoldRequest
from guilder.wallet.v1.postings_pb2 import Posting, PostTransactionRequest
from guilder.wallet.v1.wallet_service_pb2 import (
    DepositRequest,
    GetBalanceRequest,
    TransferRequest,
)

CURRENCY = "EUR"
PAGE_ENTRIES = 50
FEES = "sys:fees"
AMOUNTS_MINOR = range(1, 101)
_MONIES = [Money(currency_code=CURRENCY, amount_minor=amount) for amount in AMOUNTS_MINOR]


def requests(
    scenario: Scenario, wallets: Sequence[str], shards: int, count: int
) -> Iterator[Message]:
    """Make the requests of a run: the same wallets and amounts each time, but new keys.

    Of holds these are the authorizations, of batches and streams the transfers in them.
    """
    draw = random.Random(scenario.name)  # noqa: S311  # the same each time
    match scenario.name:
        case "balance":
            return (GetBalanceRequest(wallet_id=w) for w in draw.choices(wallets, k=count))
        case "statement":
            chosen = draw.choices(wallets, k=count)
            return (ListEntriesRequest(wallet_id=w, page_size=PAGE_ENTRIES) for w in chosen)
        case "deposit":
            return _deposits(draw.choices(wallets, k=count), draw)
        case "legs":
            return _transactions(pairs.by_shard(wallets, shards), count, draw)
    chosen_pairs = pairs.choose(scenario.pairing, wallets, shards, count, draw)
    return (_authorizations if scenario.client == "pairs" else _transfers)(chosen_pairs, draw)


def captures(hold_ids: Sequence[str]) -> Iterator[Message]:
    """Capture all of each hold."""
    for hold_id, key in zip(hold_ids, _keys(len(hold_ids)), strict=True):
        yield CaptureHoldRequest(hold_id=hold_id, idempotency_key=key)


def write(path: Path, messages: Iterable[Message]) -> None:
    """Write messages as ghz reads them: each with its length before it."""
    written = BytesIO()
    for message in messages:
        serialize_length_prefixed(message, written)
    path.write_bytes(written.getbuffer())


def _keys(count: int) -> Iterator[str]:
    """Return keys that no run before had."""
    run = secrets.token_hex(6)
    return (f"{run}-{number}" for number in range(count))


def _deposits(chosen: Sequence[str], draw: random.Random) -> Iterator[Message]:
    for wallet, key in zip(chosen, _keys(len(chosen)), strict=True):
        yield DepositRequest(wallet_id=wallet, amount=draw.choice(_MONIES), idempotency_key=key)


def _transfers(chosen: Sequence[pairs.Pair], draw: random.Random) -> Iterator[Message]:
    for (payer, payee), key in zip(chosen, _keys(len(chosen)), strict=True):
        yield TransferRequest(
            source_wallet_id=payer,
            destination_wallet_id=payee,
            amount=draw.choice(_MONIES),
            idempotency_key=key,
        )


def _authorizations(chosen: Sequence[pairs.Pair], draw: random.Random) -> Iterator[Message]:
    for (payer, payee), key in zip(chosen, _keys(len(chosen)), strict=True):
        yield AuthorizeRequest(
            wallet_id=payer,
            destination_wallet_id=payee,
            amount=draw.choice(_MONIES),
            idempotency_key=key,
        )


def _transactions(
    shards: Sequence[Sequence[str]], count: int, draw: random.Random
) -> Iterator[Message]:
    """Split a sum between wallets of the payer's shard, and fees."""
    for shard, key in zip(draw.choices(shards, k=count), _keys(count), strict=True):
        payer, *payees = draw.sample(shard, LEGS)
        postings = [
            Posting(
                source_wallet_id=payer,
                destination_wallet_id=payee,
                amount=draw.choice(_MONIES),
            )
            for payee in [*payees, FEES]
        ]
        yield PostTransactionRequest(postings=postings, idempotency_key=key)
