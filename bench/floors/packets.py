"""Write the SQL of batches of transfers by hand: what a shard has to do, and nothing else. Pure.

The statements are those of the wallet service, on tables like its own: one packet locks and reads,
one writes and commits. But nothing depends on what was read, as only one writer knows these
wallets: so the packets can be written before the clock starts.
"""
# ruff: noqa: S608  # every value is written by walletkit.sql.literals

import hashlib
import os
import random
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from guilder.events.v1 import record_pb2 as pb
from walletkit.chain import genesis_hash
from walletkit.clock import day_of, to_datetime
from walletkit.ids import new_id, slot_of
from walletkit.payload import pack
from walletkit.record import RECORD_VERSION
from walletkit.sql.literals import id_list, literal, row, rows

CURRENCY = "EUR"
FUNDS_MINOR = 10**14
TABLES = ("balances", "transactions", "idem", "outcomes", "head", "fence", "outbox")
LOADS = 3
"""Statements of the first packet."""
SAVES = 8
"""Statements of the second packet, COMMIT included."""
_ACTIVE = 1
_TRANSFER = 3
_COMPLETED = 2
_EPOCH = 1
_AMOUNTS_MINOR = range(1, 101)
_FINGERPRINT_BYTES = 33
_OUTCOME = struct.Struct(">BqBqIqI")
"""As long as what is kept of a transfer: a head, and both balances."""

Values = tuple[int | bytes, ...]


@dataclass(frozen=True, slots=True)
class Packets:
    """One batch: what locks and reads, and what writes and commits."""

    load: bytes
    save: bytes


@dataclass(slots=True)
class _Balance:
    posted: int
    version: int


class Writer:
    """Writes one batch after another for a shard of its own; knows each balance by itself."""

    def __init__(self, shard: int, wallets: Sequence[bytes], draw: random.Random) -> None:
        """Begin with the wallets that `begin` makes."""
        self._shard = shard
        self._wallets = wallets
        self._draw = draw
        self._balances = {wallet: _Balance(FUNDS_MINOR, 1) for wallet in wallets}

    def begin(self) -> str:
        """Write what makes the first rows: balances with funds, the head, and the fence's one."""
        table = sorted(
            (wallet, slot_of(wallet), CURRENCY.encode(), FUNDS_MINOR, 0, 0, _ACTIVE, 1, 0)
            for wallet in self._wallets
        )
        columns = "wallet_id,slot,currency,posted,held,overdraft_limit,status,version,flags"
        genesis = genesis_hash(self._shard)
        head = row((1, self._shard, 0, genesis, genesis, _EPOCH, 0))
        return (
            f"INSERT INTO balances({columns}) VALUES {rows(table)};"
            f" INSERT INTO head(id,shard,seq,prev_hash,hash,epoch,clock_us) VALUES {head};"
            " INSERT INTO fence VALUES (1); COMMIT"
        )

    def batch(self, size: int, now_us: int) -> Packets:
        """Write a batch of so many transfers, between any wallets."""
        postings = [self._posting() for _ in range(size)]
        ids = [new_id(slot_of(posting.source)) for posting in postings]
        keys = [
            pb.Key(
                key_hash=os.urandom(16),
                ref=id_,
                fingerprint=os.urandom(_FINGERPRINT_BYTES),
                outcome=_outcome(posting, now_us),
            )
            for id_, posting in zip(ids, postings, strict=True)
        ]
        touched = sorted({side for p in postings for side in (p.source, p.destination)})
        payload = self._record(ids, postings, keys, now_us)
        save = [
            *_inserts(postings, keys, now_us),
            self._update(touched),
            *_chain(payload, now_us),
            "COMMIT",
        ]
        return Packets(_load(touched, keys).encode(), "; ".join(save).encode())

    def _posting(self) -> pb.Posting:
        source, destination = self._draw.sample(self._wallets, 2)
        amount = self._draw.choice(_AMOUNTS_MINOR)
        paying, paid = self._balances[source], self._balances[destination]
        paying.posted -= amount
        paid.posted += amount
        paying.version += 1
        paid.version += 1
        return pb.Posting(
            source=source,
            destination=destination,
            currency_code=CURRENCY,
            amount_minor=amount,
            source_posted_after=paying.posted,
            source_version=paying.version,
            destination_posted_after=paid.posted,
            destination_version=paid.version,
        )

    def _record(
        self,
        ids: Sequence[bytes],
        postings: Sequence[pb.Posting],
        keys: Sequence[pb.Key],
        now_us: int,
    ) -> bytes:
        """Write the record of the batch as the wallet service does: much of what is stored."""
        record = pb.Record(
            version=RECORD_VERSION,
            shard=self._shard,
            time_us=now_us,
            transactions=[
                pb.Transaction(
                    transaction_id=id_,
                    type=_TRANSFER,  # type: ignore[arg-type]  # a number is what it takes
                    state=_COMPLETED,  # type: ignore[arg-type]
                    source=posting.source,
                    destination=posting.destination,
                    postings=[posting],
                )
                for id_, posting in zip(ids, postings, strict=True)
            ],
            keys=keys,
        )
        return pack(record.SerializeToString())

    def _update(self, touched: Iterable[bytes]) -> str:
        table: list[Values] = [
            (wallet, self._balances[wallet].posted, 0, _ACTIVE, self._balances[wallet].version)
            for wallet in touched
        ]
        first, *others = table
        head = ",".join(f"{literal(v)} {name}" for v, name in zip(first, "aphsv", strict=True))
        union = " UNION ALL ".join([f"SELECT {head}", *(f"SELECT {row(o)[1:-1]}" for o in others)])
        return (
            f"UPDATE ({union}) j STRAIGHT_JOIN balances w FORCE INDEX(PRIMARY) ON j.a=w.wallet_id"
            " SET w.posted=j.p,w.held=j.h,w.status=j.s,w.version=j.v"
        )


def _load(touched: Iterable[bytes], keys: Iterable[pb.Key]) -> str:
    hashes = id_list(key.key_hash for key in keys)
    return (
        "SELECT wallet_id,currency,posted,held,overdraft_limit,status,version,flags FROM balances"
        f" FORCE INDEX(PRIMARY) WHERE wallet_id IN ({id_list(touched)})"
        " ORDER BY wallet_id FOR UPDATE;"
        f" SELECT key_hash,ref FROM idem WHERE key_hash IN ({hashes});"
        " SELECT UTC_TIMESTAMP(6),clock_us,seq,shard,epoch FROM head WHERE id=1"
    )


def _inserts(postings: Sequence[pb.Posting], keys: Sequence[pb.Key], now_us: int) -> Iterable[str]:
    created_at = to_datetime(now_us).strftime("%Y-%m-%d %H:%M:%S.%f").encode()
    day, currency = day_of(now_us), CURRENCY.encode()
    transactions: list[Values] = []
    idem: list[Values] = []
    outcomes: list[Values] = []
    for posting, key in zip(postings, keys, strict=True):
        slot = slot_of(key.ref)
        sides = (posting.source, posting.destination, currency, posting.amount_minor)
        head = (key.ref, slot, _TRANSFER, _COMPLETED)
        transactions.append((*head, *sides, created_at, b"", b""))
        idem.append((key.key_hash, day, slot, key.ref))
        outcomes.append((key.ref, slot, key.fingerprint, key.outcome))
    yield (
        "INSERT INTO transactions(tx_id,slot,type,state,source,destination,currency,amount,"
        f"created_at,reference,opaque) VALUES {rows(sorted(transactions))}"
    )
    yield f"INSERT INTO idem(key_hash,day,slot,ref) VALUES {rows(sorted(idem))}"
    yield f"INSERT INTO outcomes(ref,slot,fingerprint,outcome) VALUES {rows(sorted(outcomes))}"


def _chain(payload: bytes, now_us: int) -> Iterable[str]:
    digest = hashlib.sha256(payload).digest()
    yield (
        "UPDATE head SET prev_hash=hash,"
        f"hash=UNHEX(SHA2(CONCAT(hash,{literal(digest)}),256)),"
        f"seq=seq+1,clock_us=GREATEST(clock_us,{literal(now_us)}) WHERE id=1"
    )
    yield f"INSERT INTO fence SELECT 1 FROM head WHERE id=1 AND epoch<>{literal(_EPOCH)}"
    yield (
        "INSERT INTO outbox(seq,prev_hash,hash,payload)"
        f" SELECT seq,prev_hash,hash,{literal(payload)} FROM head WHERE id=1"
    )


def _outcome(posting: pb.Posting, now_us: int) -> bytes:
    source = (posting.source_posted_after, posting.source_version)
    destination = (posting.destination_posted_after, posting.destination_version)
    return _OUTCOME.pack(10, now_us, 3, *source, *destination)
