"""A wallet's or account's limits, and what it has used of them. Pure."""

from dataclasses import dataclass

from wallet.domain.commands import Limits


@dataclass(slots=True)
class Bound:
    """A row of limits, locked with the batch. Minor units."""

    owner: bytes
    """The wallet, or for an account ``account_owner``: 16 bytes."""
    slot: int
    limits: Limits
    held: int
    """What open holds of the owner's wallets reserve; kept for accounts, whose wallets are many."""
