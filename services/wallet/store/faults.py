"""Tell what a failed packet means for its batch."""

from enum import Enum, auto

from asyncmy.errors import MySQLError

from wallet.store.load import StaleEpochError
from walletkit.sql.session import (
    DEADLOCK,
    DUPLICATE_KEY,
    LOCK_WAIT_TIMEOUT,
    UnsafeServerError,
    error_number,
)

_CHECK_VIOLATED = frozenset({4025, 3819})
_TOO_LARGE = 1153
"""A packet above `max_allowed_packet`: half of the batch may fit."""
_DATA_CLASSES = ("22", "23")
_FIRST_SERVER_ERROR = 1000
_FIRST_CLIENT_ERROR = 2000
_LAST_CLIENT_ERROR = 2999
_GOING_AWAY = frozenset(
    {1040, 1042, 1043, 1053, 1077, 1079, 1080, 1129, 1152, 1159, 1160, 1161, 1203, 1290, 1836, 1927}
)
"""Too many connections, host blocked, shutdown in progress, connection aborted or killed, network
error, primary turned read-only."""
_STATEMENT_ENDED = frozenset({1317, 1969, 3024})
"""KILL QUERY, and the server's limits on a statement's time (MariaDB, MySQL)."""


class Fault(Enum):
    """What to do about it."""

    DEADLOCK = auto()
    """Undone by the server, for no fault of the batch: run all of it again."""
    LOCK_TIMEOUT = auto()
    """Run again; repeated, park the commands whose wallets are blocked."""
    LOST_RACE = auto()
    """A duplicate key: another process was first. Run again, and find what it left."""
    LOST_CONNECTION = auto()
    """Nobody knows what was committed. Run the same batch again on another connection."""
    STALE_EPOCH = auto()
    """Somebody else owns the shard. Change nothing."""
    DATA = auto()
    """A value that the database refuses, or that breaks our own code, or too much for one packet:
    split the batch, and let the one command fail alone."""
    OTHER = auto()
    """A fault of the schema or the server, the same for every command: the batch fails."""


def classify(error: BaseException) -> Fault:
    """Return what an error of load or save means.

    A deadline that passed counts as a lost connection.
    """
    if isinstance(error, StaleEpochError):
        return Fault.STALE_EPOCH
    if isinstance(error, (OSError, TimeoutError, EOFError, UnsafeServerError)):
        return Fault.LOST_CONNECTION
    if not isinstance(error, MySQLError):
        return Fault.DATA
    number = error_number(error)
    by_number = {
        DEADLOCK: Fault.DEADLOCK,
        LOCK_WAIT_TIMEOUT: Fault.LOCK_TIMEOUT,
        DUPLICATE_KEY: Fault.LOST_RACE,
    }
    if number in by_number:
        return by_number[number]
    client_side = (
        _FIRST_CLIENT_ERROR <= number <= _LAST_CLIENT_ERROR or number < _FIRST_SERVER_ERROR
    )
    if client_side or number in _GOING_AWAY:
        return Fault.LOST_CONNECTION
    if number in _STATEMENT_ENDED:
        return Fault.DEADLOCK
    state = getattr(error, "sqlstate", None) or ""
    if number == _TOO_LARGE or number in _CHECK_VIOLATED or state.startswith(_DATA_CLASSES):
        return Fault.DATA
    return Fault.OTHER


def in_doubt(error: BaseException) -> bool:
    """Tell whether a batch that was being saved may be committed: no server said otherwise.

    A statement that is ended from outside counts as well: it may be the COMMIT.
    """
    if not isinstance(error, MySQLError) or error_number(error) in _STATEMENT_ENDED:
        return True
    return classify(error) is Fault.LOST_CONNECTION
