"""What the tests of exports share: two shards over three months, and ways to spoil files."""

import asyncio
import base64
import gzip
import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from guilder.events.v1 import record_pb2 as events
from guilder.wallet.v1.wallet_audit_service_pb2_grpc import WalletAuditServiceStub
from ledger.export.check import check
from ledger.export.manifest import MANIFEST_FILE, Export
from ledger.export.month import Month
from ledger.export.take import ANSWER_S, take
from ledger.store.closed import Pages
from ledger.store.pool import Pool
from tests.ledger.running import Running
from tests.ledger.shards import Shard, send_across
from walletkit.chain import next_hash

JULY, AUGUST, SEPTEMBER = Month(2026, 7), Month(2026, 8), Month(2026, 9)
NOW = datetime(2026, 9, 20, tzinfo=UTC)
RECORDS, ENTRIES = "shard-0-records.jsonl.gz", "shard-0-entries.jsonl.gz"
TRIAL = "trial-balance.jsonl.gz"
LEAST = Pages(records=1, entries=1)

Line = dict[str, Any]
Spoil = Callable[[Path], None]


class Months(NamedTuple):
    """Two shards that moved money in July and August; only the first has a record since."""

    home: Shard
    away: Shard
    ann: bytes
    bob: bytes


async def three_months(running: Running) -> Months:
    """Have a ledger take in money that moved within and between shards in two months."""
    home, away = Shard(0, JULY.begin_us), Shard(1, JULY.begin_us + 5)
    ann, carl = home.create(), home.create(account_id="carl")
    bob = away.create(account_id="bob")
    home.transfer(home.world(), ann, 10_000)
    home.transfer(home.world("USD"), home.create("USD"), 700)
    home.commit()
    away.commit()
    for shard, month in ((home, JULY), (home, AUGUST)):
        shard.time_us = max(shard.time_us, month.begin_us)
        away.time_us = max(away.time_us, month.begin_us)
        home.transfer(ann, carl, 40).effective_time_us = JULY.begin_us - 7
        hold = home.authorize(ann, 90)
        home.capture(hold, carl, 30)
        home.commit()
        send_across(home, away, ann, bob, 100)
        home.release(hold)
        home.change(carl, events.WALLET_STATUS_FROZEN)
        home.commit()
        home.change(carl, events.WALLET_STATUS_ACTIVE)
        home.transfer(carl, ann, 2)
        home.commit(month.end_us - 1)
    home.transfer(ann, carl, 3)
    home.commit(SEPTEMBER.begin_us)
    await running.take(home, away)
    running.wallets.snapshots = {0: home.snapshot(), 1: away.snapshot()}
    return Months(home, away, ann, bob)


async def export(
    running: Running,
    into: Path,
    month: Month = JULY,
    pages: Pages = LEAST,
    now: datetime = NOW,
) -> Export:
    """Export a month."""
    pool = Pool(running.url, 1, "export", ANSWER_S)
    stub = WalletAuditServiceStub(running.channel)
    try:
        async with asyncio.timeout(60):
            return await take(pool, stub, month, into, lambda: now, pages)
    finally:
        await pool.close()


def lines_of(path: Path) -> list[Line]:
    """Read a file's lines."""
    return [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]


def put_lines(path: Path, lines: list[Line]) -> None:
    """Write a file anew, and make its manifest fit, as who forges one would."""
    text = b"".join(json.dumps(line, separators=(",", ":")).encode() + b"\n" for line in lines)
    path.write_bytes(gzip.compress(text, mtime=0))
    file = {
        "name": path.name,
        "rows": len(lines),
        "bytes": path.stat().st_size,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
    }
    made = manifest_of(path.parent)
    made["files"] = [file if one["name"] == path.name else one for one in made["files"]]
    put_manifest(path.parent, made)


def manifest_of(folder: Path) -> Line:
    """Read a manifest."""
    made: Line = json.loads((folder / MANIFEST_FILE).read_text(encoding="utf-8"))
    return made


def put_manifest(folder: Path, made: Line) -> None:
    """Write a manifest."""
    (folder / MANIFEST_FILE).write_text(json.dumps(made), encoding="utf-8")


def told(*folders: Path) -> list[str]:
    """Check, and return what is wrong, by the name of the file."""
    where = f"{folders[0].parent}/"
    return [str(fault).removeprefix(where) for fault in check(folders).faults.kept]


def change(name: str, alter: Callable[[list[Line]], list[Line]]) -> Spoil:
    """Write a file's lines anew, and make the manifest's hash fit."""

    def spoil(folder: Path) -> None:
        put_lines(folder / name, alter(lines_of(folder / name)))

    return spoil


def alter_line(number: int, **fields: object) -> Callable[[list[Line]], list[Line]]:
    """Give a line, from 1, other fields."""

    def alter(lines: list[Line]) -> list[Line]:
        lines[number - 1] |= fields
        return lines

    return alter


def in_manifest(alter: Callable[[Line], object]) -> Spoil:
    """Change the manifest."""

    def spoil(folder: Path) -> None:
        made = manifest_of(folder)
        alter(made)
        put_manifest(folder, made)

    return spoil


def with_amount(line: Line, more: int) -> Line:
    """Return a record's line whose first posting moves another amount; its hashes are left."""
    message = events.Record.FromString(base64.b64decode(line["record"]))
    message.transactions[0].postings[0].amount_minor += more
    return line | {"record": base64.b64encode(message.SerializeToString()).decode()}


def chained(lines: list[Line]) -> list[Line]:
    """Return records whose hashes follow from their bytes, whatever they were."""
    made: list[Line] = []
    for line in lines:
        before = made[-1]["hash"] if made else line["prev_hash"]
        hash_ = next_hash(bytes.fromhex(before), base64.b64decode(line["record"])).hex()
        made.append(line | {"prev_hash": before, "hash": hash_})
    return made
