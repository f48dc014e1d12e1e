"""Say what is wrong with a shard's holds: rows against records, and both against the invariants."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from guilder.events.v1 import record_pb2 as pb
from walletkit.sql.session import Rows, open_session, run_packet

_READ = (
    "SELECT hold_id,wallet_id,state,authorized,captured,released,open_until IS NOT NULL,"
    "COALESCE(open_until=expires_at,TRUE) FROM holds;"
    " SELECT wallet_id,held FROM balances"
)


async def read(url: str) -> list[Rows]:
    """Read the holds and what each wallet has held."""
    session = await open_session(url, autocommit=True, durable=False)
    try:
        return await run_packet(session, _READ)
    finally:
        session.close()


def faults(records: Sequence[pb.Record], rows: list[Rows]) -> list[str]:
    """Return one sentence for each thing that is wrong."""
    told: dict[bytes, pb.HoldChange] = {}
    found: list[str] = []
    for record in records:
        captured = {t.transaction_id: t for t in record.transactions}
        for change in record.hold_changes:
            found += _follow(change, told.get(change.hold_id), captured)
            told[change.hold_id] = change
    return found + list(_rows(told, *rows))


def _follow(
    change: pb.HoldChange, before: pb.HoldChange | None, captured: dict[bytes, pb.Transaction]
) -> Iterable[str]:
    """Nothing happens to a hold that has ended; a capture is its own transaction's amount."""
    name = change.hold_id.hex()
    made = change.kind == pb.HOLD_CHANGE_KIND_AUTHORIZED
    if made != (before is None):
        yield f"hold {name} changed before it was made, or was made twice"
        return
    if before is not None and before.state != pb.HOLD_STATE_AUTHORIZED:
        yield f"hold {name} changed after it had ended"
    if change.captured_minor + change.released_minor > change.authorized_minor:
        yield f"hold {name} gave more than it had"
    if before is not None and change.kind == pb.HOLD_CHANGE_KIND_CAPTURED:
        amount = change.captured_minor - before.captured_minor
        postings = captured[change.transaction_id].postings
        if [posting.amount_minor for posting in postings] != [amount]:
            yield f"hold {name} captured {amount}, which is not what moved"


def _rows(told: dict[bytes, pb.HoldChange], holds: Rows, balances: Rows) -> Iterable[str]:
    """I8: rows are what the records give, and wallets have held what is open."""
    held: dict[bytes, int] = defaultdict(int)
    for hold_id, wallet_id, state, authorized, captured, released, open_, ends in holds:
        last = told.get(hold_id)
        if last is None or (state, authorized, captured, released) != (
            last.state,
            last.authorized_minor,
            last.captured_minor,
            last.released_minor,
        ):
            yield f"hold {hold_id.hex()} differs between row and records"
        if bool(open_) != (state == pb.HOLD_STATE_AUTHORIZED) or not ends:
            yield f"hold {hold_id.hex()} has state {state}, to be swept: {open_}"
        left = authorized - captured - released
        if state != pb.HOLD_STATE_AUTHORIZED and left:
            yield f"hold {hold_id.hex()} has ended with {left} open"
        held[wallet_id] += left
    if len(holds) != len(told):
        yield "there are other holds than the records have made"
    for wallet_id, amount in balances:
        if amount != held[wallet_id]:
            yield f"{wallet_id.hex()} has {amount} held, its holds {held[wallet_id]}"
