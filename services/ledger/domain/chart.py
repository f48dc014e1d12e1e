"""The chart of accounts: what customers and each system wallet stand for in the books. Pure.

The chart is the operator's view. A wallet's balance is credits less debits, so a positive balance
is a credit balance: what the operator owes the wallet. An account of normal side DEBIT therefore
shows the opposite of its net.
"""

from enum import IntEnum
from typing import NamedTuple

from walletkit.ids import SystemKind

CUSTOMERS = 0
"""Kind of all customer wallets together; the others are those of ``SystemKind``."""


class AccountClass(IntEnum):
    """What kind of account it is."""

    ASSET = 1
    LIABILITY = 2
    EQUITY = 3
    REVENUE = 4
    EXPENSE = 5


class NormalSide(IntEnum):
    """The side on which an account grows."""

    DEBIT = 1
    CREDIT = 2


class ChartAccount(NamedTuple):
    """An account of the chart."""

    kind: int
    code: str
    name: str
    account_class: AccountClass
    normal_side: NormalSide
    description: str

    def balance(self, net: int) -> int:
        """Return credits less debits as seen from the normal side."""
        return net if self.normal_side == NormalSide.CREDIT else -net


CHART = (
    ChartAccount(
        SystemKind.WORLD,
        "1000",
        "world",
        AccountClass.ASSET,
        NormalSide.DEBIT,
        "Settlement: money of customers that is held outside, with banks and schemes."
        " A deposit debits it, a withdrawal credits it.",
    ),
    # An asset, not revenue: what was bought of one currency and paid in another is held until it
    # is settled, and a rate's gain or loss shows only once somebody values the position.
    ChartAccount(
        SystemKind.EXCHANGE,
        "1100",
        "exchange",
        AccountClass.ASSET,
        NormalSide.DEBIT,
        "Currency position: what conversions have bought of this currency (a debit balance) or"
        " sold of it (a credit balance). Only all currencies together, valued at one rate, tell"
        " gain or loss.",
    ),
    ChartAccount(
        CUSTOMERS,
        "2000",
        "customers",
        AccountClass.LIABILITY,
        NormalSide.CREDIT,
        "What is owed to customers: all their wallets together.",
    ),
    ChartAccount(
        SystemKind.TRANSIT,
        "2100",
        "transit",
        AccountClass.LIABILITY,
        NormalSide.CREDIT,
        "Clearing: owed to customers whose credit is on its way to another shard. A single shard's"
        " may be on either side; over all shards it is exactly what is on its way.",
    ),
    ChartAccount(
        SystemKind.SUSPENSE,
        "2200",
        "suspense",
        AccountClass.LIABILITY,
        NormalSide.CREDIT,
        "Owed to customers, but neither their wallet nor the payer's could take it: an operator"
        " has to decide.",
    ),
    ChartAccount(
        SystemKind.FEES,
        "4000",
        "fees",
        AccountClass.REVENUE,
        NormalSide.CREDIT,
        "Fees that customers have paid.",
    ),
)
"""The accounts, by code."""

BY_KIND = {account.kind: account for account in CHART}
