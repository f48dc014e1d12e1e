"""Tell what admin actions changed: their rows, and how what was before and after is kept. Pure."""

import json
from collections.abc import Iterable

from ledger.domain.account import Accounts
from ledger.domain.record import AuditEvent, Posting, Record
from walletkit.ids import NIL, is_system

AuditRow = tuple[bytes | int, ...]
"""An event as it is kept, in the order of the columns behind the shard."""


def state_of(parts: dict[str, int | str]) -> bytes:
    """Write what an action may change, as it was at one moment: canonical JSON.

    ``status`` and ``freeze`` are the records' numbers; ``limits`` is the text of the record, itself
    JSON or empty for none; ``reversed`` is in minor units; ``exponent`` is that of an asset.
    """
    return json.dumps(parts, sort_keys=True, separators=(",", ":")).encode() if parts else b""


def subject_of(postings: Iterable[Posting]) -> bytes:
    """Return the wallet that a reversal counts for: the lowest customer's that it debits here.

    Where it debits none, the lowest that it credits here; NIL where it touches no customer's.
    """
    sides = [(posting[3], posting[4]) for posting in postings]
    debited = [source for source, _ in sides if not is_system(source)]
    credited = [destination for _, destination in sides if not is_system(destination)]
    return min(debited or credited, default=NIL)


def audit_rows(record: Record, seq: int, accounts: Accounts) -> list[AuditRow]:
    """Return the rows of a record's events; ``accounts`` are those that it touched, after it."""
    return [_row(record, seq, event, accounts) for event in record.audit_events]


def _row(record: Record, seq: int, event: AuditEvent, accounts: Accounts) -> AuditRow:
    account = accounts.get(event.wallet_id)
    owner, currency = event.account_id, event.currency
    if account is not None:
        owner, currency = account.account_id, account.currency
    return (
        *(seq, event.n, record.time_us, event.action),
        *(event.actor.encode(), event.reason.encode(), event.request_id.encode()),
        *(owner.encode(), currency.encode()),
        *(event.wallet_id or NIL, event.tx_id or NIL, event.original or NIL),
        *(event.before, event.after),
    )
