"""Tell what a batch of commands touches, so that one packet can lock and read it. No I/O."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from wallet.domain.bound import account_owner
from wallet.domain.commands import (
    Atomic,
    Authorize,
    CaptureHold,
    ChangeStatus,
    CloseIntent,
    Command,
    CreateWallet,
    ExpireHold,
    ExtendHold,
    FreezeAccount,
    IncrementHold,
    LandLeg,
    PostTransaction,
    RegisterAsset,
    Reverse,
    SetAccountLimits,
    SetWalletLimits,
    Transfer,
    UpdateWallet,
    VoidHold,
)
from wallet.domain.kinds import RETURN_LEG, WalletChangeKind
from walletkit.ids import NIL, is_system, slot_of


@dataclass(slots=True)
class ReadSet:
    """What a batch of commands touches."""

    wallets: set[bytes] = field(default_factory=set)
    keys: set[bytes] = field(default_factory=set)
    slots: set[int] = field(default_factory=set)
    facts: set[bytes] = field(default_factory=set)
    closing: set[bytes] = field(default_factory=set)
    legs: set[tuple[bytes, int]] = field(default_factory=set)
    intents: set[tuple[bytes, int]] = field(default_factory=set)
    counterparties: set[bytes] = field(default_factory=set)
    """Wallets on other shards: not read here."""
    states: set[bytes] = field(default_factory=set)
    """Transactions of several legs, one of which may be closed."""
    holds: set[bytes] = field(default_factory=set)
    reversed: set[bytes] = field(default_factory=set)
    returning: set[bytes] = field(default_factory=set)
    """Transactions that have money come back: reversals may be among them."""
    owners: set[bytes] = field(default_factory=set)
    """Whose limits the commands set, or must know; those of limited wallets come to it."""
    aliases: set[tuple[str, str]] = field(default_factory=set)
    accounts: set[str] = field(default_factory=set)
    whole_accounts: set[str] = field(default_factory=set)
    """Accounts all of whose wallets are changed."""
    assets: set[str] = field(default_factory=set)
    account_wallets: dict[str, tuple[bytes, ...]] = field(default_factory=dict)
    """Wallets of ``whole_accounts``, once they are known: they are among ``wallets`` then."""


def read_set(commands: Iterable[Command], local_slots: Sequence[bool]) -> ReadSet:
    """Gather what the commands touch.

    ``local_slots[slot]`` tells whether a slot is on this shard.
    """
    needs = ReadSet()
    for command in commands:
        _GATHER[type(command)](needs, command, local_slots)
    return needs


def _side(needs: ReadSet, wallet_id: bytes, local_slots: Sequence[bool]) -> None:
    """Note one side of a movement; a system wallet needs nothing, it changes by delta."""
    if not is_system(wallet_id):
        here = local_slots[slot_of(wallet_id)]
        (needs.wallets if here else needs.counterparties).add(wallet_id)


def _transfer(needs: ReadSet, command: Transfer, local_slots: Sequence[bool]) -> None:
    needs.keys.add(command.key_hash)
    source, destination = command.source, command.destination
    if source != NIL:
        needs.wallets.add(source)
    if destination != NIL:
        here = local_slots[slot_of(destination)]
        (needs.wallets if here else needs.counterparties).add(destination)


def _land(needs: ReadSet, command: LandLeg, _: Sequence[bool]) -> None:
    intent = command.intent
    if not is_system(intent.destination):
        needs.wallets.add(intent.destination)
    needs.legs.add((intent.tx_id, intent.leg))
    if intent.leg >= RETURN_LEG:
        needs.intents.add((intent.tx_id, intent.leg - RETURN_LEG))
        needs.returning.add(intent.tx_id)
        if intent.legs > 1:
            needs.states.add(intent.tx_id)


def _close(needs: ReadSet, command: CloseIntent, _: Sequence[bool]) -> None:
    needs.intents.add((command.tx_id, command.leg))
    if command.legs > 1:
        needs.states.add(command.tx_id)


def _create(needs: ReadSet, command: CreateWallet, _: Sequence[bool]) -> None:
    needs.keys.add(command.key_hash)
    needs.slots.add(command.slot)
    needs.accounts.add(command.account_id)
    needs.owners.add(account_owner(command.account_id, command.currency))
    if command.alias:
        needs.aliases.add((command.account_id, command.alias))


def _status(needs: ReadSet, command: ChangeStatus, _: Sequence[bool]) -> None:
    _wallet(needs, command, _)
    if command.kind == WalletChangeKind.CLOSED:
        needs.closing.add(command.wallet_id)


def _wallet(
    needs: ReadSet, command: ChangeStatus | UpdateWallet | SetWalletLimits, _: Sequence[bool]
) -> None:
    needs.keys.add(command.key_hash)
    needs.wallets.add(command.wallet_id)
    needs.facts.add(command.wallet_id)


def _wallet_limits(needs: ReadSet, command: SetWalletLimits, _: Sequence[bool]) -> None:
    _wallet(needs, command, _)
    needs.owners.add(command.wallet_id)


def _account(needs: ReadSet, command: FreezeAccount | SetAccountLimits, _: Sequence[bool]) -> None:
    needs.keys.add(command.key_hash)
    needs.slots.add(command.slot)
    needs.accounts.add(command.account_id)
    needs.whole_accounts.add(command.account_id)


def _account_limits(needs: ReadSet, command: SetAccountLimits, _: Sequence[bool]) -> None:
    _account(needs, command, _)
    needs.owners.add(account_owner(command.account_id, command.currency))


def _asset(needs: ReadSet, command: RegisterAsset, _: Sequence[bool]) -> None:
    needs.keys.add(command.key_hash)
    needs.slots.add(command.slot)
    needs.assets.add(command.currency)


def _authorize(needs: ReadSet, command: Authorize, local_slots: Sequence[bool]) -> None:
    needs.keys.add(command.key_hash)
    needs.wallets.add(command.wallet_id)
    _side(needs, command.destination, local_slots)


def _hold(
    needs: ReadSet, command: IncrementHold | ExtendHold | VoidHold, _: Sequence[bool]
) -> None:
    needs.keys.add(command.key_hash)
    needs.holds.add(command.hold_id)
    needs.wallets.add(command.wallet_id)


def _capture(needs: ReadSet, command: CaptureHold, local_slots: Sequence[bool]) -> None:
    needs.keys.add(command.key_hash)
    needs.holds.add(command.hold_id)
    needs.wallets.add(command.wallet_id)
    _side(needs, command.destination, local_slots)


def _expire(needs: ReadSet, command: ExpireHold, _: Sequence[bool]) -> None:
    needs.holds.add(command.hold_id)
    needs.wallets.add(command.wallet_id)


def _reverse(needs: ReadSet, command: Reverse, local_slots: Sequence[bool]) -> None:
    needs.keys.add(command.key_hash)
    needs.reversed.add(command.original)
    if command.leg >= 0:
        needs.legs.add((command.original, command.leg))
    _side(needs, command.source, local_slots)
    _side(needs, command.destination, local_slots)


def _post(needs: ReadSet, command: PostTransaction, local_slots: Sequence[bool]) -> None:
    needs.keys.add(command.key_hash)
    for line in command.lines:
        _side(needs, line.source, local_slots)
        _side(needs, line.destination, local_slots)
    for wallet_id, _ in command.expected_versions:
        _side(needs, wallet_id, local_slots)
    if command.original:
        needs.reversed.add(command.original)
        needs.legs.update((command.original, leg) for leg in range(len(command.lines)))


def _atomic(needs: ReadSet, command: Atomic, local_slots: Sequence[bool]) -> None:
    needs.keys.add(command.key_hash)
    for part in command.commands:
        _GATHER[type(part)](needs, part, local_slots)


# A table instead of a chain of tests: a batch asks a thousand times.
_GATHER: dict[type, Callable[..., None]] = {
    Transfer: _transfer,
    LandLeg: _land,
    CloseIntent: _close,
    CreateWallet: _create,
    ChangeStatus: _status,
    UpdateWallet: _wallet,
    SetWalletLimits: _wallet_limits,
    SetAccountLimits: _account_limits,
    FreezeAccount: _account,
    RegisterAsset: _asset,
    Authorize: _authorize,
    IncrementHold: _hold,
    ExtendHold: _hold,
    CaptureHold: _capture,
    VoidHold: _hold,
    ExpireHold: _expire,
    Reverse: _reverse,
    PostTransaction: _post,
    Atomic: _atomic,
}
