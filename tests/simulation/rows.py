"""Hold the rows of holds, reversals, lines, families and limits against what the records give."""

import json
import struct
from collections.abc import Iterable
from typing import Any

from guilder.events.v1 import record_pb2 as events
from tests.simulation.books import ShardBooks
from tests.simulation.hold_rules import open_of
from tests.simulation.purse import WINDOWS, Spent, Usage
from tests.simulation.replay import Replay

_SPENT = struct.Struct(">q16s16sQQ")


def faults(replay: Replay) -> Iterable[str]:
    """Return one sentence for each table that differs."""
    books = replay.books
    told: dict[str, dict[Any, Any]] = {
        "holds": _holds(replay),
        "links": _links(books),
        "tx_lines": _lines(books),
        "reversed": dict(replay.reversed),
        "limits": _limits(replay),
        "held": _held(replay),
    }
    found: dict[str, dict[Any, Any]] = {
        "holds": {row[0]: tuple(row[1:]) for row in books.rows["holds"]},
        "links": {row[0]: tuple(row[1:]) for row in books.rows["links"]},
        "tx_lines": {tuple(row[:2]): tuple(row[2:]) for row in books.rows["tx_lines"]},
        "reversed": {tx_id: int(amount) for tx_id, amount in books.rows["reversed"]},
        "limits": {
            owner: (json.loads(config), held, _usage(used))
            for owner, config, held, used in books.rows["limits"]
        },
        "held": {row[0]: row[3] for row in books.rows["balances"]},
    }
    for table, expected in told.items():
        yield from _differences(books.number, table, expected, found[table])


def _differences(
    shard: int, table: str, expected: dict[Any, Any], found: dict[Any, Any]
) -> Iterable[str]:
    for key in expected.keys() | found.keys():
        if expected.get(key) != found.get(key):
            row, meant = found.get(key), expected.get(key)
            yield f"shard {shard}: {table} has {row} for {key!r}, the records give {meant}"


def _holds(replay: Replay) -> dict[bytes, Any]:
    return {
        hold_id: (
            hold.wallet_id,
            hold.state,
            hold.authorized_minor,
            hold.captured_minor,
            hold.released_minor,
            hold.state == events.HOLD_STATE_AUTHORIZED,
        )
        for hold_id, hold in replay.holds.items()
    }


def _held(replay: Replay) -> dict[bytes, int]:
    """A wallet's held is the sum of its open holds."""
    held = dict.fromkeys(replay.purses, 0)
    for hold in replay.holds.values():
        held[hold.wallet_id] += open_of(hold)
    return held


def _links(books: ShardBooks) -> dict[bytes, Any]:
    return {
        tx_id: (made.parent_id, made.family_id)
        for tx_id, made in books.made.items()
        if made.parent_id
    }


def _lines(books: ShardBooks) -> dict[tuple[bytes, int], Any]:
    """Postings of one transaction, where there are several; those to another shard as meant."""
    found = {}
    for tx_id, made in books.made.items():
        away = {intent.leg: intent.destination for intent in made.intents}
        for n, posting in enumerate(made.postings if len(made.postings) > 1 else ()):
            found[tx_id, n] = (
                posting.source,
                away.get(n, posting.destination),
                posting.currency_code,
                posting.amount_minor,
            )
    return found


def _limits(replay: Replay) -> dict[bytes, Any]:
    return {
        wallet: (purse.limits, 0, purse.usage)
        for wallet, purse in replay.purses.items()
        if purse.usage
    }


def _usage(used: bytes) -> Usage:
    """Read the usage of a row: a byte of its form, and what moved in the hour, day and month."""
    found = []
    for n in range(len(WINDOWS)):
        start_us, *sums, begun, received = _SPENT.unpack_from(used, 1 + n * _SPENT.size)
        debits, credits_ = (int.from_bytes(one, "big") for one in sums)
        found.append(Spent(start_us, debits, credits_, begun, received))
    return tuple(found)
