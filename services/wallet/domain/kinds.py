"""What things are and can become; numbers as in the protos and the tables."""

from enum import IntEnum

from walletkit.record import RETURN_LEG as RETURN_LEG  # noqa: PLC0414  # one of the kinds, too

MAX_ACCOUNT_WALLETS = 1000
"""How many wallets an account may have, closed ones included, to be changed by one command."""

ANY_VERSION = -1
"""``expected_version`` of a caller who does not care."""


class TransactionType(IntEnum):
    """What a transaction is; numbers as in the protos and the tables."""

    DEPOSIT = 1
    WITHDRAWAL = 2
    TRANSFER = 3
    CAPTURE = 4
    REVERSAL = 5
    POSTING = 6


class TransactionState(IntEnum):
    """How far a transaction has come; numbers as in the protos and the tables."""

    PROCESSING = 1
    COMPLETED = 2
    RETURNED = 3


class WalletStatus(IntEnum):
    """Whether money may move through a wallet; numbers as in the protos and the tables."""

    ACTIVE = 1
    FROZEN = 2
    CLOSED = 3
    DEBITS_FROZEN = 4


class AccountFreeze(IntEnum):
    """How far all wallets of an account are frozen; numbers as in the protos and the tables."""

    NONE = 0
    DEBITS = 1
    ALL = 2


ACCOUNT_FREEZE_FLAGS = 3
"""The bits of a wallet's flags that hold its account's ``AccountFreeze``."""

LIMITED = 4
"""Flag of a wallet that has a row of limits."""

ACCOUNT_LIMITED = 8
"""Flag of a wallet whose account has a row of limits in its currency."""


class HoldState(IntEnum):
    """How far a hold has come; numbers as in the protos and the tables."""

    AUTHORIZED = 1
    CAPTURED = 2
    VOIDED = 3
    EXPIRED = 4


class HoldChangeKind(IntEnum):
    """What can happen to a hold; numbers as in the protos."""

    AUTHORIZED = 1
    INCREMENTED = 2
    EXTENDED = 3
    CAPTURED = 4
    VOIDED = 5
    EXPIRED = 6


class WalletChangeKind(IntEnum):
    """What can happen to a wallet besides postings; numbers as in the protos."""

    CREATED = 1
    FROZEN = 2
    UNFROZEN = 3
    CLOSED = 4
    UPDATED = 5
    LIMITED = 6


class AuditAction(IntEnum):
    """What an admin action does; numbers as in the protos."""

    FREEZE_WALLET = 1
    UNFREEZE_WALLET = 2
    CLOSE_WALLET = 3
    SET_WALLET_LIMITS = 4
    FREEZE_ACCOUNT = 5
    UNFREEZE_ACCOUNT = 6
    SET_ACCOUNT_LIMITS = 7
    REGISTER_ASSET = 8
    REVERSE_TRANSACTION = 9


class LegResult(IntEnum):
    """What became of a leg at its destination; numbers as in the protos and the tables."""

    CREDITED = 1
    RETURNED = 2
    SUSPENDED = 3


class VelocityWindow(IntEnum):
    """A span of the UTC calendar over which a velocity limit counts; numbers as in the protos."""

    HOUR = 1
    DAY = 2
    MONTH = 3


class VelocityBasis(IntEnum):
    """What a velocity limit counts; numbers as in the protos."""

    DEBITS = 1
    """Gross: all that leaves, and what open holds reserve."""
    CREDITS = 2
    """Gross: all that comes in."""
    NET_DEBITS = 3
    """What leaves and what open holds reserve, less what comes in."""
