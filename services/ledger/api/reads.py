"""Answer all that asks about the past: lists, balances and statements, over one small pool."""

from ledger.api.audit_events import AuditLog
from ledger.api.balances import Balances
from ledger.api.lists import Lists
from ledger.api.statements import Statements
from ledger.api.waiting import Waiting
from ledger.store.pool import Pool
from ledger.store.positions import Positions


class Reads:
    """The reads, by topic."""

    def __init__(self, pool: Pool, positions: Positions) -> None:
        waiting = Waiting(pool, positions)
        self.lists = Lists(pool, waiting)
        self.balances = Balances(pool, waiting)
        self.statements = Statements(pool, waiting)
        self.audit_log = AuditLog(pool, waiting)
