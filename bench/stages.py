"""The wallet's and the ledger's Python work on a batch of transfers, stage by stage, without I/O.

`count` runs this under valgrind, which notes how many instructions went by from mark to mark. What
is not here: driver, event loop and gRPC, whose work depends on when which bytes arrive.
"""

import argparse
import gc
import os
import random
import sys
from collections.abc import Callable, Sequence
from functools import partial
from time import perf_counter

from guilder.events.v1.record_pb2 import SequencedRecord
from guilder.type.v1.money_pb2 import Money
from guilder.type.v1.position_pb2 import Position
from guilder.wallet.v1 import wallet_service_pb2 as pb
from ledger.domain.account import Account, fresh
from ledger.domain.journal import journal, wallets_of
from ledger.store.codec import decode
from ledger.store.commit import Commit, Kept, packets
from wallet.api.known import Known
from wallet.api.reach import form_of
from wallet.api.verbs import TRANSFER
from wallet.domain.batch import Balance, Batch
from wallet.domain.commands import SingleCommand, Transfer
from wallet.domain.decide import decide
from wallet.domain.kinds import WalletStatus
from wallet.domain.outcome import Outcome
from wallet.engine.meter import ShardMeter
from wallet.store.needs import read_set
from wallet.store.record import encode_record
from wallet.store.save import save_packet
from walletkit.chain import genesis_hash, next_hash
from walletkit.ids import SLOTS, format_id
from walletkit.payload import pack
from walletkit.telemetry.metrics.calls import CallMeter

BATCH = 30
"""Transfers a commit of a shard holds under load, about."""
WARM_UP = 3
"""Batches before the first mark: the interpreter specializes what it runs often."""
MARKS_A_STAGE = 3
MARK = "getppid"
"""The C function whose calls are the marks: nothing else here calls it."""

NOW_US = 1_795_374_825_914_104
FUNDS_MINOR = 10**9
VERSION = 4
EPOCH = 1
CURRENCY = "EUR"

Stage = Callable[[], object]


def stages() -> dict[str, Stage]:
    """Return what does each stage for one batch, made ready from the same data each time."""
    draw = random.Random(BATCH)  # noqa: S311  # the same wallets each time
    wallets = [_id(draw) for _ in range(2 * BATCH)]
    requests = [_request(wallets, number) for number in range(BATCH)]
    commands = [
        # Ids made of clock and entropy would be sorted with another amount of work each time.
        command._replace(ref=_id(draw))
        for command in _parse(requests, Known())
        if isinstance(command, Transfer)
    ]
    batch, outcomes = _decide(commands)
    payload = pack(encode_record(batch))
    before = genesis_hash(0)
    hash_ = next_hash(before, payload)
    sent = SequencedRecord(seq=1, prev_hash=before, hash=hash_, payload=payload)
    accounts = {wallet_id: _account() for wallet_id in wallets}
    return {
        "parse request": partial(_parse, requests, Known()),
        "gather and decide": partial(_decide, commands),
        "encode record, save packet": partial(save_packet, EPOCH, batch),
        "render reply": partial(_render, outcomes, Position(shard=0, seq=1)),
        "ledger: record to rows": partial(_take, sent.SerializeToString(), accounts),
        "count calls and batch": partial(
            _count, CallMeter("/guilder.wallet.v1.WalletService/Transfer"), ShardMeter(0), batch
        ),
    }


def _id(draw: random.Random) -> bytes:
    """Make a UUIDv7 without clock and entropy; see `walletkit.ids`."""
    high = (NOW_US // 1000) << 16 | 0x7000 | draw.randrange(SLOTS)
    return (high << 64 | 0x8000_0000_0000_0000 | draw.getrandbits(62)).to_bytes(16, "big")


def _request(wallets: Sequence[bytes], number: int) -> bytes:
    request = pb.TransferRequest(
        source_wallet_id=format_id(wallets[2 * number]),
        destination_wallet_id=format_id(wallets[2 * number + 1]),
        amount=Money(currency_code=CURRENCY, amount_minor=7 + number),
        idempotency_key=f"0123456789ab-{number:06}",
    )
    return request.SerializeToString()


def _parse(requests: Sequence[bytes], known: Known) -> list[SingleCommand]:
    read, parse = pb.TransferRequest.FromString, TRANSFER.parse
    return [parse(read(request), form_of(known)) for request in requests]


def _decide(commands: Sequence[SingleCommand]) -> tuple[Batch, list[Outcome]]:
    needs = read_set(commands, _LOCAL)
    balances = {
        wallet_id: Balance(CURRENCY, FUNDS_MINOR, 0, 0, WalletStatus.ACTIVE, VERSION)
        for wallet_id in needs.wallets
    }
    batch = Batch(
        shard=0,
        now_us=NOW_US,
        seq=0,
        balances=balances,
        kept={},
        facts={},
        landed={},
        open_intents=set(),
        paying=set(),
    )
    return batch, [decide(batch, command) for command in commands]


def _render(outcomes: Sequence[Outcome], made: Position) -> list[bytes]:
    return [
        TRANSFER.reply(outcome, made).SerializeToString()
        for outcome in outcomes
        if isinstance(outcome, TRANSFER.outcome)
    ]


def _account() -> Account:
    return fresh(0, CURRENCY, "bench")._replace(
        posted=FUNDS_MINOR, credit=FUNDS_MINOR, version=VERSION
    )


def _take(message: bytes, accounts: dict[bytes, Account]) -> list[str]:
    """Do what the ledger does with a record that is alone in its commit.

    Not by way of its ingest room, whose logging takes valgrind as long to import as all the rest.
    """
    sent = SequencedRecord.FromString(message)
    assert next_hash(sent.prev_hash, sent.payload) == sent.hash
    record = decode(sent.payload)
    touched = wallets_of(record)
    done = journal(record, sent.seq, {id_: accounts[id_] for id_ in touched})
    kept = Kept(sent.seq, sent.prev_hash, sent.hash, record.time_us, sent.payload)
    commit = Commit(records=[kept], entries=done.entries, accounts=done.accounts)
    return list(packets(0, commit))


def _count(calls: CallMeter, shard: ShardMeter, batch: Batch) -> None:
    """Do what the metrics cost: of each call alone, and of the batch at once."""
    for _ in range(BATCH):
        calls.answered(perf_counter())
    for stage in (shard.load, shard.decide, shard.commit):
        stage.observe(perf_counter() - perf_counter())
    shard.committed(batch, BATCH)


_LOCAL = [True] * SLOTS


def main() -> int:
    """Run each stage for N batches and then for 2 N, with a mark before, between and after."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batches", type=int, required=True)
    batches = parser.parse_args().batches
    gc.disable()
    for stage in stages().values():
        _repeat(stage, WARM_UP)
        os.getppid()
        _repeat(stage, batches)
        os.getppid()
        _repeat(stage, 2 * batches)
        os.getppid()
    return 0


def _repeat(stage: Stage, times: int) -> None:
    for _ in range(times):
        stage()


if __name__ == "__main__":
    sys.exit(main())
