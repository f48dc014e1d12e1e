"""Ask which of the rows that a batch waits for another session holds locked right now.

A row is named by its key: a wallet by its id, an account's limits by their owner, a slot by
``slot_lock``. No two kinds look alike, so one set can hold all that a command locks.
"""

from typing import Any

import asyncmy

from wallet.domain.bound import account_owner
from wallet.domain.kinds import ACCOUNT_LIMITED, LIMITED
from walletkit.sql.literals import id_list, literal
from walletkit.sql.session import run_packet

_SLOT_BYTES = 2
_OWNER_FIRST_BYTE = 0xFF


def slot_lock(slot: int) -> bytes:
    """Return the key of a slot's row."""
    return slot.to_bytes(_SLOT_BYTES, "big")


async def blocked(connection: asyncmy.Connection, locks: set[bytes]) -> set[bytes]:
    """Return those of the rows that are locked by another session.

    A wallet counts as locked, too, while its limits or those of its account are. Nothing stays
    locked. Raise what the driver raises.
    """
    slots = {lock for lock in locks if len(lock) == _SLOT_BYTES}
    owners = {lock for lock in locks - slots if lock[0] == _OWNER_FIRST_BYTE}
    wallets = locks - slots - owners
    numbers = [int.from_bytes(slot, "big") for slot in slots]
    held = await _held(connection, "slots", "slot", ",".join(map(literal, sorted(numbers))))
    found = {slot_lock(number) for number in held}
    found |= await _held(connection, "balances", "wallet_id", id_list(wallets))
    limited = await _limited(connection, wallets)
    asked = owners.union(*limited.values())
    closed = await _held(connection, "limits", "owner", id_list(asked))
    found |= closed & owners
    return found.union([wallet for wallet, bounds in limited.items() if bounds & closed])


async def _held(connection: asyncmy.Connection, table: str, key: str, values: str) -> set[Any]:
    """Return the keys of the rows that are there, and can't be locked at once."""
    if not values:
        return set()
    rows = f"SELECT {key} FROM {table} FORCE INDEX(PRIMARY) WHERE {key} IN ({values})"
    there, free = await run_packet(
        connection, f"{rows}; {rows} ORDER BY {key} FOR UPDATE SKIP LOCKED; ROLLBACK"
    )
    return {row[0] for row in there} - {row[0] for row in free}


async def _limited(connection: asyncmy.Connection, wallets: set[bytes]) -> dict[bytes, set[bytes]]:
    """Return the owners of the limits that bound each wallet, where there are any."""
    if not wallets:
        return {}
    packet = (
        "SELECT b.wallet_id,b.currency,b.flags,w.account_id FROM balances b JOIN wallets w"
        f" USING(wallet_id) WHERE b.wallet_id IN ({id_list(wallets)})"
        f" AND b.flags&{literal(LIMITED | ACCOUNT_LIMITED)}<>0; ROLLBACK"
    )
    (rows,) = await run_packet(connection, packet)
    limited: dict[bytes, set[bytes]] = {}
    for wallet_id, currency, flags, account_id in rows:
        owners = limited.setdefault(wallet_id, set())
        if flags & LIMITED:
            owners.add(wallet_id)
        if flags & ACCOUNT_LIMITED:
            owners.add(account_owner(account_id, currency))
    return limited
