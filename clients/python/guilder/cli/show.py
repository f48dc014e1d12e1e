"""Show what the wallet service answers, each kind of message in its own table.

``show_reply`` takes any reply apart: what it holds of these kinds is shown, whatever the call was.
"""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from rich.table import Table

from guilder.cli.render import console, moment, money, pairs, plain, table, word
from guilder.edge.v1.key_service_pb2 import Key, KeyAction, KeyEvent, KeyKind, KeyState
from guilder.wallet.v1.resources_pb2 import (
    Asset,
    Balance,
    FreezeScope,
    Hold,
    HoldState,
    Transaction,
    TransactionState,
    TransactionType,
    Wallet,
    WalletStatus,
)
from guilder.wallet.v1.wallet_service_pb2 import WalletTransaction

_UNSET = Timestamp()


def show_reply(reply: Message, *, dry_run: bool = False) -> None:
    """Show a reply: its messages by kind, and whether it was made now, earlier, or not at all."""
    found: dict[type[Message], list[Any]] = {}
    if type(reply) in TABLES:
        found[type(reply)] = [reply]
    else:
        for field, value in reply.ListFields():
            for item in value if field.is_repeated else [value]:
                if type(item) in TABLES:
                    found.setdefault(type(item), []).append(item)
    moved = Transaction in found or Hold in found
    for kind, items in found.items():
        show_items(items, "Balance after it" if kind is Balance and moved else "")
    if dry_run:
        console().print("Dry run: nothing was changed.", style="yellow")
    elif getattr(reply, "replayed", False):
        console().print("Replayed: an earlier call with this key had done it.", style="yellow")


def show_items(items: Sequence[Any], title: str = "") -> None:
    """Print items of one kind; a lone transaction or hold a line a field."""
    if not items:
        console().print(f"{title or 'Nothing'}: none.")
        return
    first = items[0]
    if not title and len(items) == 1 and type(first) in FIELDS:
        _show_fields(type(first).__name__, FIELDS[type(first)](first))
        return
    columns, right, row = TABLES[type(first)]
    made = table(title or type(first).__name__, *columns, right=right)
    for item in items:
        made.add_row(*row(item))
    console().print(made)


def time_of(timestamp: Timestamp) -> str:
    """Write a time; nothing where there is none, as in a dry run."""
    return "" if timestamp == _UNSET else moment(timestamp)


def _show_fields(title: str, fields: Mapping[str, str]) -> None:
    """Print one thing, a line a field; what is empty is left out."""
    made = Table(show_header=False, title=title, title_justify="left", title_style="bold")
    for name, value in fields.items():
        if value:
            made.add_row(name, value)
    console().print(made)


def type_name(transaction: Transaction) -> str:
    """Return a transaction's type in a word."""
    return word(TransactionType, transaction.type)


def state_name(transaction: Transaction) -> str:
    """Return a transaction's state in a word."""
    return word(TransactionState, transaction.state)


def amount_of(item: Any) -> str:  # noqa: ANN401 - a transaction, or one of its postings
    """Write the amount of a transaction or posting with its currency."""
    amount = item.amount
    text = money(amount.amount_minor, amount.currency_code, item.exponent)
    return f"{text} {amount.currency_code}"


def _status(wallet: Wallet) -> str:
    status = word(WalletStatus, wallet.status)
    if wallet.account_freeze == FreezeScope.FREEZE_SCOPE_UNSPECIFIED:
        return status
    return f"{status}; account frozen ({word(FreezeScope, wallet.account_freeze)})"


def _wallet_row(wallet: Wallet) -> tuple[str, ...]:
    return (
        wallet.wallet_id,
        plain(wallet.account_id),
        plain(wallet.alias),
        wallet.currency_code,
        _status(wallet),
        time_of(wallet.create_time),
        pairs(wallet.metadata),
    )


def _key_row(key: Key) -> tuple[str, ...]:
    return (
        key.key_id,
        plain(key.client_id),
        word(KeyKind, key.kind),
        " ".join(key.roles),
        plain(key.account_id),
        word(KeyState, key.state),
        time_of(key.create_time),
        time_of(key.expire_time),
        time_of(key.last_use_time),
    )


def _key_event_row(event: KeyEvent) -> tuple[str, ...]:
    return (
        time_of(event.create_time),
        word(KeyAction, event.action) if event.action in KeyAction.values() else "",
        event.key_id,
        plain(event.after.client_id),
        " ".join(event.after.roles),
        plain(event.actor),
        plain(event.reason),
        plain(event.request_id),
    )


def _balance_row(balance: Balance) -> tuple[str, ...]:
    amounts = (
        balance.posted_minor,
        balance.held_minor,
        balance.overdraft_limit_minor,
        balance.available_minor,
    )
    shown = [money(amount, balance.currency_code, balance.exponent) for amount in amounts]
    return balance.wallet_id, balance.currency_code, *shown, str(balance.version)


def _transaction_row(transaction: Transaction) -> tuple[str, ...]:
    return (
        time_of(transaction.create_time),
        transaction.transaction_id,
        type_name(transaction),
        state_name(transaction),
        amount_of(transaction),
        transaction.source_wallet_id or "outside",
        transaction.destination_wallet_id or "outside",
        plain(transaction.reference),
    )


def _transaction_fields(transaction: Transaction) -> Mapping[str, str]:
    several = bool(transaction.postings)
    lines = [
        f"{item.source_wallet_id} > {item.destination_wallet_id}: {amount_of(item)}"
        for item in transaction.postings
    ]
    return {
        "transaction": transaction.transaction_id,
        "type": type_name(transaction),
        "state": state_name(transaction),
        "amount": "" if several else amount_of(transaction),
        "from": "" if several else transaction.source_wallet_id or "outside",
        "to": "" if several else transaction.destination_wallet_id or "outside",
        "postings": "\n".join(lines),
        "time (UTC)": time_of(transaction.create_time),
        "effective (UTC)": time_of(transaction.effective_time),
        "follows": transaction.parent_id,
        "family": transaction.family_id,
        "reason": plain(transaction.reason),
        "actor": plain(transaction.actor),
        "reference": plain(transaction.reference),
        "description": plain(transaction.description),
        "metadata": pairs(transaction.metadata),
    }


def _seen_row(item: WalletTransaction) -> tuple[str, ...]:
    transaction = item.transaction
    currency, exponent = transaction.amount.currency_code, transaction.exponent
    changes = (
        [money(each, currency, exponent) for each in (item.delta_minor, item.posted_after_minor)]
        if item.wallet_id or item.version
        else ["", ""]
    )
    return (
        time_of(transaction.create_time),
        transaction.transaction_id,
        type_name(transaction),
        state_name(transaction),
        amount_of(transaction),
        *changes,
        plain(transaction.reference),
    )


def _hold_amounts(hold: Hold) -> list[str]:
    amounts = (hold.authorized_minor, hold.captured_minor, hold.released_minor, hold.open_minor)
    return [money(each, hold.currency_code, hold.exponent) for each in amounts]


def _hold_row(hold: Hold) -> tuple[str, ...]:
    state = word(HoldState, hold.state)
    amounts = _hold_amounts(hold)
    return hold.hold_id, state, hold.currency_code, *amounts, time_of(hold.expire_time)


def _hold_fields(hold: Hold) -> Mapping[str, str]:
    authorized, captured, released, still = _hold_amounts(hold)
    return {
        "hold": hold.hold_id,
        "state": word(HoldState, hold.state),
        "wallet": hold.wallet_id,
        "to": hold.destination_wallet_id,
        "authorized": f"{authorized} {hold.currency_code}",
        "captured": captured,
        "released": released,
        "open": still,
        "ends (UTC)": time_of(hold.expire_time),
        "made (UTC)": time_of(hold.create_time),
        "reference": plain(hold.reference),
        "description": plain(hold.description),
        "metadata": pairs(hold.metadata),
    }


def _asset_row(asset: Asset) -> tuple[str, ...]:
    return asset.currency_code, str(asset.exponent), "registered" if asset.registered else "ISO"


Row = Callable[[Any], tuple[str, ...]]
_KEY_TIMES = ("created (UTC)", "expires (UTC)", "last used (UTC)")
_BALANCE_NUMBERS = ("posted", "held", "overdraft", "available", "version")
_HOLD_NUMBERS = ("authorized", "captured", "released", "open")
_KIND = ("time (UTC)", "transaction", "type", "state")

TABLES: Mapping[type[Message], tuple[tuple[str, ...], tuple[str, ...], Row]] = MappingProxyType(
    {
        Wallet: (
            ("wallet", "account", "alias", "currency", "status", "created (UTC)", "metadata"),
            (),
            _wallet_row,
        ),
        Key: (
            (*("key", "client", "kind", "roles", "account", "state"), *_KEY_TIMES),
            (),
            _key_row,
        ),
        KeyEvent: (
            ("time (UTC)", "action", "key", "client", "roles", "actor", "reason", "request"),
            (),
            _key_event_row,
        ),
        Balance: (("wallet", "currency", *_BALANCE_NUMBERS), _BALANCE_NUMBERS, _balance_row),
        Transaction: (
            (*_KIND, "amount", "from", "to", "reference"),
            ("amount",),
            _transaction_row,
        ),
        WalletTransaction: (
            (*_KIND, "amount", "change", "balance", "reference"),
            ("amount", "change", "balance"),
            _seen_row,
        ),
        Hold: (
            ("hold", "state", "currency", *_HOLD_NUMBERS, "ends (UTC)"),
            _HOLD_NUMBERS,
            _hold_row,
        ),
        Asset: (("currency", "decimals", "kind"), ("decimals",), _asset_row),
    }
)
"""Columns, those of them that hold numbers, and the cells of a row, by kind."""

FIELDS: Mapping[type[Message], Callable[[Any], Mapping[str, str]]] = MappingProxyType(
    {Transaction: _transaction_fields, Hold: _hold_fields}
)
"""What a lone one is shown by, a line a field."""


def show_transaction(transaction: Transaction) -> None:
    """Print one transaction, a line a field."""
    show_items([transaction])
