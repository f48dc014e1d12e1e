"""Read the shards' rows and records, and say what is wrong with them.

Shares no code with the wallet service: it knows the tables, the events' protos and the invariants
of the design (I1, I2, I3, I9, I10), and recomputes everything from the records. Both shards must
be at rest, or at least have no leg between being read.
"""

import asyncio
import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from guilder.events.v1 import record_pb2 as pb
from tests.simulation import audited
from walletkit.payload import unpack
from walletkit.sql.session import Rows, open_session, run_packet

RETURN_LEG = 128
TRANSIT = 4
READ_S = 60

Place = tuple[bytes, int]
Step = tuple[int, int, int | None]
"""Version, change of posted, posted after it (None: only the status changed)."""

_TABLES = {
    "outbox": "SELECT seq,prev_hash,hash,payload FROM outbox ORDER BY seq",
    "head": "SELECT shard,seq,hash FROM head",
    "balances": (
        "SELECT wallet_id,currency,posted,held,overdraft_limit,status,version FROM balances"
    ),
    "system": "SELECT kind,currency,posted FROM system_wallets",
    "transactions": "SELECT tx_id,state FROM transactions",
    "intents": "SELECT tx_id,leg,amount FROM intents",
    "inbox": "SELECT tx_id,leg,result FROM inbox",
    "fence": "SELECT x FROM fence",
    "holds": (
        "SELECT hold_id,wallet_id,state,authorized,captured,released,open_until IS NOT NULL"
        " FROM holds"
    ),
    "links": "SELECT tx_id,parent,family FROM links",
    "tx_lines": "SELECT tx_id,n,source,destination,currency,amount FROM tx_lines",
    "reversed": "SELECT tx_id,amount FROM reversed",
    "limits": "SELECT owner,config,held,used FROM limits",
}


@dataclass(slots=True)
class Leg:
    """Money that left for another shard."""

    destination: bytes
    currency: str
    amount: int


@dataclass(slots=True)
class ShardBooks:
    """One shard, as its rows are and as its records tell."""

    number: int
    rows: dict[str, Rows]
    records: list[pb.Record] = field(default_factory=list)
    posted: Counter[bytes] = field(default_factory=Counter)
    versions: dict[bytes, int] = field(default_factory=dict)
    status: dict[bytes, int] = field(default_factory=dict)
    times: dict[bytes, int] = field(default_factory=dict)
    opened: dict[Place, Leg] = field(default_factory=dict)
    landed: dict[Place, pb.LandedLeg] = field(default_factory=dict)
    made: dict[bytes, pb.Transaction] = field(default_factory=dict)


async def read(urls: Sequence[str]) -> list[ShardBooks]:
    """Read each shard in one consistent snapshot."""
    return list(await asyncio.gather(*[_read(n, url) for n, url in enumerate(urls)]))


async def _read(number: int, url: str) -> ShardBooks:
    session = await open_session(url, autocommit=False, durable=False)
    try:
        async with asyncio.timeout(READ_S):
            await run_packet(session, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            packet = "; ".join(["START TRANSACTION WITH CONSISTENT SNAPSHOT", *_TABLES.values()])
            results = await run_packet(session, packet)
    finally:
        session.close()
    return ShardBooks(number, dict(zip(_TABLES, results, strict=True)))


def faults(shards: Sequence[ShardBooks], *, settled: bool = True) -> list[str]:
    """Return one sentence for each thing that is wrong; ``settled``: no leg may be on its way."""
    found: list[str] = []
    for shard in shards:
        found += _chain(shard)
        found += _replay(shard)
        found += _balances(shard)
        found += _sums(shard)
        found += _tables(shard)
    found += _legs(shards, settled=settled)
    return found


def _chain(shard: ShardBooks) -> Iterable[str]:
    """I9: every hash follows from the one before, and the head is at the last record."""
    last_hash = hashlib.sha256(f"guilder shard {shard.number}".encode()).digest()
    for at, (seq, prev_hash, hash_, payload) in enumerate(shard.rows["outbox"], start=1):
        record = pb.Record.FromString(unpack(payload))
        shard.records.append(record)
        expected = hashlib.sha256(last_hash + hashlib.sha256(payload).digest()).digest()
        if (seq, prev_hash, hash_) != (at, last_hash, expected):
            yield f"shard {shard.number}: record {seq} does not follow"
        if record.shard != shard.number:
            yield f"shard {shard.number}: record {seq} names another shard"
        last_hash = hash_
    if shard.rows["head"] != [(shard.number, len(shard.rows["outbox"]), last_hash)]:
        yield f"shard {shard.number}: head is not at its last record"
    if shard.rows["fence"] != [(1,)]:
        yield f"shard {shard.number}: the fence is broken"


def _replay(shard: ShardBooks) -> Iterable[str]:
    """Build the shard anew from its records, and compare every balance that they tell."""
    for seq, record in enumerate(shard.records, start=1):
        steps: dict[bytes, list[Step]] = defaultdict(list)
        for posting in _postings(record):
            _post(shard, posting, steps)
        for change in record.wallet_changes:
            steps[change.wallet_id].append((change.version, 0, None))
            shard.status[change.wallet_id] = change.status
        for held in record.hold_changes:
            steps[held.wallet_id].append((held.wallet_version, 0, None))
        for wallet, taken in steps.items():
            yield from _follow(shard, seq, wallet, sorted(taken, key=lambda step: step[0]))
            # Of two writers the later one may have read its clock before, but not for one wallet.
            if record.time_us < shard.times.get(wallet, 0):
                yield f"shard {shard.number}: time runs backwards for {wallet.hex()} in {seq}"
            shard.times[wallet] = record.time_us
        yield from _keep(shard, seq, record)
        yield from audited.faults(shard.number, seq, record)


def _keep(shard: ShardBooks, seq: int, record: pb.Record) -> Iterable[str]:
    """Note what a record makes and lands, each once."""
    for transaction in record.transactions:
        if transaction.transaction_id in shard.made:
            yield f"shard {shard.number}: a transaction is there twice, again in {seq}"
        shard.made[transaction.transaction_id] = transaction
        _open(shard, transaction.transaction_id, transaction.intents)
    for leg in record.landed_legs:
        place = (leg.transaction_id, leg.leg)
        if place in shard.landed:
            yield f"shard {shard.number}: a leg landed twice, again in {seq}"
        shard.landed[place] = leg
        _open(shard, leg.transaction_id, leg.intents)


def _postings(record: pb.Record) -> Iterable[pb.Posting]:
    for transaction in record.transactions:
        yield from transaction.postings
    for leg in record.landed_legs:
        yield from leg.postings


def _post(shard: ShardBooks, posting: pb.Posting, steps: dict[bytes, list[Step]]) -> None:
    sides = (
        (posting.source, -1, posting.source_version, posting.source_posted_after),
        (posting.destination, 1, posting.destination_version, posting.destination_posted_after),
    )
    for wallet, sign, version, after in sides:
        if wallet[0] == 0:
            shard.posted[wallet] += sign * posting.amount_minor
        else:
            steps[wallet].append((version, sign * posting.amount_minor, after))


def _follow(shard: ShardBooks, seq: int, wallet: bytes, steps: Sequence[Step]) -> Iterable[str]:
    """I7, in small: versions without a gap, and each balance-after as the replay has it."""
    for version, delta, after in steps:
        shard.posted[wallet] += delta
        expected = shard.versions.get(wallet, 0) + 1
        if version != expected:
            yield f"shard {shard.number}: {wallet.hex()} has version {version} in {seq}: {expected}"
        if after is not None and after != shard.posted[wallet]:
            yield f"shard {shard.number}: {wallet.hex()} has {after} in {seq}"
        shard.versions[wallet] = version


def _open(shard: ShardBooks, tx_id: bytes, intents: Iterable[pb.Intent]) -> None:
    for intent in intents:
        shard.opened[tx_id, intent.leg] = Leg(
            intent.destination, intent.currency_code, intent.amount_minor
        )


def _balances(shard: ShardBooks) -> Iterable[str]:
    """I3, and that each row is what the records give."""
    for wallet, _, posted, held, limit, status, version in shard.rows["balances"]:
        if posted - held + limit < 0:
            yield f"shard {shard.number}: {wallet.hex()} is overdrawn"
        told = (shard.posted[wallet], shard.status.get(wallet), shard.versions.get(wallet))
        if told != (posted, status, version):
            yield f"shard {shard.number}: {wallet.hex()} is {(posted, status, version)}, not {told}"
    if len(shard.rows["balances"]) != len(shard.versions):
        yield f"shard {shard.number}: there are other wallets than the records have made"


def _sums(shard: ShardBooks) -> Iterable[str]:
    """I1: all balances of a shard sum to zero; the system wallets are what the records give."""
    sums: Counter[str] = Counter()
    for _, currency, posted, *_ in shard.rows["balances"]:
        sums[currency] += posted
    for kind, currency, posted in shard.rows["system"]:
        sums[currency] += int(posted)
        wallet = (
            bytes((0, kind)) + shard.number.to_bytes(2, "big") + currency.encode().ljust(12, b"\0")
        )
        if shard.posted[wallet] != posted:
            yield f"shard {shard.number}: system wallet {kind} has {posted}"
    for currency, total in sums.items():
        if total != 0:
            yield f"shard {shard.number}: {currency} sums to {total}"


def _tables(shard: ShardBooks) -> Iterable[str]:
    """The tables hold exactly the transactions and legs that the records tell."""
    if {tx_id for tx_id, _ in shard.rows["transactions"]} != shard.made.keys():
        yield f"shard {shard.number}: transactions differ between table and records"
    inbox = {(tx_id, leg): result for tx_id, leg, result in shard.rows["inbox"]}
    if inbox != {place: leg.result for place, leg in shard.landed.items()}:
        yield f"shard {shard.number}: the inbox differs from the legs in the records"


def _legs(shards: Sequence[ShardBooks], *, settled: bool) -> Iterable[str]:
    """I2 and I10: pair each debit into transit with its one credit out of it."""
    opened: dict[Place, Leg] = {}
    landed: dict[Place, pb.LandedLeg] = {}
    times = {id_: made.effective_time_us for shard in shards for id_, made in shard.made.items()}
    for shard in shards:
        if opened.keys() & shard.opened.keys() or landed.keys() & shard.landed.keys():
            yield "a leg is on two shards"
        opened |= shard.opened
        landed |= shard.landed
    for place, leg in landed.items():
        yield from _pair(place, leg, opened)
        if leg.effective_time_us != times.get(place[0], 0):
            yield f"leg {place} counts at {leg.effective_time_us}, its transaction at another time"
    kept = {(row[0], row[1]) for shard in shards for row in shard.rows["intents"]}
    under_way = opened.keys() - landed.keys()
    if under_way - kept:
        yield f"{len(under_way - kept)} legs are on their way, but no intent remembers them"
    if kept - opened.keys():
        yield "there are intents that no record has opened"
    for currency in {leg.currency for leg in opened.values()}:
        due = sum(opened[place].amount for place in under_way if opened[place].currency == currency)
        if _transit(shards, currency) != due:
            yield f"transit holds {_transit(shards, currency)} {currency}, {due} are on their way"
    if settled:
        yield from _settled(shards, under_way, kept)


def _pair(place: Place, leg: pb.LandedLeg, opened: dict[Place, Leg]) -> Iterable[str]:
    intent = opened.get(place)
    if intent is None:
        yield f"leg {place} landed, but was never sent"
        return
    moved = {(p.currency_code, p.amount_minor) for p in leg.postings}
    if moved != {(intent.currency, intent.amount)}:
        yield f"leg {place} landed with {moved}"
    if leg.result == pb.LEG_RESULT_CREDITED and leg.postings[0].destination != intent.destination:
        yield f"leg {place} landed at another wallet"
    returned = (place[0], place[1] + RETURN_LEG) in opened
    if returned != (leg.result == pb.LEG_RESULT_RETURNED):
        yield f"leg {place} has result {leg.result}, returned: {returned}"


def _transit(shards: Sequence[ShardBooks], currency: str) -> int:
    return sum(
        int(posted)
        for shard in shards
        for kind, code, posted in shard.rows["system"]
        if (kind, code) == (TRANSIT, currency)
    )


def _settled(
    shards: Sequence[ShardBooks], under_way: set[Place], kept: set[Place]
) -> Iterable[str]:
    if under_way or kept:
        yield f"{len(under_way)} legs are stranded, {len(kept)} intents are open"
    returned = {tx_id for shard in shards for tx_id, leg in shard.landed if leg >= RETURN_LEG}
    for shard in shards:
        states: Any = shard.rows["transactions"]
        for tx_id, state in states:
            expected = (
                pb.TRANSACTION_STATE_RETURNED
                if tx_id in returned
                else pb.TRANSACTION_STATE_COMPLETED
            )
            if state != expected:
                yield f"shard {shard.number}: transaction {tx_id.hex()} has state {state}"
