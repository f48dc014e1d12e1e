"""`guilder wallet limits` and `guilder account limits`: what bounds a wallet, or an account's all.

Amounts are decimals of the major unit, in the wallet's currency or in the one that is named.
"""

from collections.abc import Iterator, Sequence
from typing import Annotated

import typer

from guilder.cli.currency import exponent_of, read_bound
from guilder.cli.declare import Call, View, command
from guilder.cli.options import (
    ADMIN,
    WALLET_ADMIN,
    AccountArgument,
    CurrencyArgument,
    WalletArgument,
)
from guilder.cli.render import as_dict, console, moment, money, table, word
from guilder.cli.show import show_reply
from guilder.wallet.v1.resources_pb2 import (
    AccountLimits,
    VelocityBasis,
    VelocityLimit,
    VelocityUsage,
    VelocityWindow,
    WalletLimits,
)

wallet_app = typer.Typer(help="Show and set a wallet's limits.", no_args_is_help=True)
account_app = typer.Typer(help="Show and set limits of an account.", no_args_is_help=True)

_VELOCITY = "'--velocity'"
_VELOCITY_PARTS = ("window", "basis", "amount", "count")

TransactionOption = Annotated[
    str | None, typer.Option("--max-transaction", help="Largest single debit, hold or credit.")
]
VelocityOption = Annotated[
    list[str] | None,
    typer.Option(
        "--velocity",
        metavar="WINDOW:BASIS:AMOUNT[:COUNT]",
        help="hour, day or month; debits, credits or net-debits; AMOUNT may be empty. Repeatable.",
    ),
]


@command(wallet_app, name="show")
async def show_of_wallet(call: Call, wallet_id: WalletArgument) -> View:
    """Show a wallet's limits, and what is used of them."""
    reply = await call.guilder.limits.get_wallet_limits(wallet_id)

    def show() -> None:
        _show_limits(reply.limits, reply.currency_code, reply.exponent)
        _show_usage(reply.usage, reply.currency_code, reply.exponent)

    return View(as_dict(reply), show)


@command(wallet_app, *WALLET_ADMIN, name="set")
async def set_of_wallet(
    call: Call,
    wallet_id: WalletArgument,
    *,
    overdraft: Annotated[str, typer.Option(help="Credit line.")] = "0",
    minimum: Annotated[str | None, typer.Option("--min", help="Lowest balance, less holds.")] = (
        None
    ),
    maximum: Annotated[str | None, typer.Option("--max", help="Highest balance.")] = None,
    max_transaction: TransactionOption = None,
    over_capture: Annotated[
        int, typer.Option(min=0, max=100, help="Percent that captures may exceed a hold by.")
    ] = 0,
    velocity: VelocityOption = None,
) -> View:
    """Replace all of a wallet's limits: what is not given is no bound."""
    wallet = await call.guilder.wallet.get_wallet(wallet_id)
    exponent = wallet.exponent
    limits = WalletLimits(
        overdraft_limit_minor=read_bound(overdraft, exponent, "'--overdraft'"),
        min_balance_minor=_bound(minimum, exponent, "'--min'"),
        max_balance_minor=_bound(maximum, exponent, "'--max'"),
        max_transaction_minor=_bound(max_transaction, exponent, "'--max-transaction'"),
        over_capture_percent=over_capture,
        velocity=_velocity(velocity, exponent),
    )
    reply = await call.guilder.limits.set_wallet_limits(wallet_id, limits, **call.options)

    def show() -> None:
        _show_limits(reply.limits, wallet.currency_code, exponent)
        show_reply(reply, dry_run=call.options["validate_only"])

    return View(as_dict(reply), show)


@command(account_app, name="show")
async def show_of_account(call: Call, account: AccountArgument, currency: CurrencyArgument) -> View:
    """Show an account's limits in a currency, and what its wallets have used of them."""
    reply = await call.guilder.limits.get_account_limits(account, currency)
    exponent = reply.exponent

    def show() -> None:
        _show_limits(reply.limits, currency, exponent)
        _show_usage(reply.usage, currency, exponent)
        console().print(f"Held by open holds: {money(reply.held_minor, currency, exponent)}")

    return View(as_dict(reply), show)


@command(account_app, *ADMIN, name="set")
async def set_of_account(
    call: Call,
    account: AccountArgument,
    currency: CurrencyArgument,
    *,
    max_transaction: TransactionOption = None,
    velocity: VelocityOption = None,
) -> View:
    """Replace the limits that bound all wallets of an account in a currency together."""
    exponent = await _exponent(call, currency)
    limits = AccountLimits(
        max_transaction_minor=_bound(max_transaction, exponent, "'--max-transaction'"),
        velocity=_velocity(velocity, exponent),
    )
    reply = await call.guilder.limits.set_account_limits(account, currency, limits, **call.options)

    def show() -> None:
        _show_limits(reply.limits, currency, exponent)
        console().print(f"Wallets that it bounds: {reply.wallets:,}.")
        show_reply(reply, dry_run=call.options["validate_only"])

    return View(as_dict(reply), show)


async def _exponent(call: Call, currency: str) -> int:
    await call.learn(currency)
    exponent = exponent_of(currency)
    if exponent is None:
        raise typer.BadParameter(f"unknown currency {currency!r}", param_hint="'CURRENCY'")
    return exponent


def _bound(text: str | None, exponent: int, hint: str) -> int | None:
    return None if text is None else read_bound(text, exponent, hint)


def _velocity(texts: list[str] | None, exponent: int) -> Iterator[VelocityLimit]:
    for text in texts or ():
        parts = text.split(":")
        if len(parts) not in {len(_VELOCITY_PARTS) - 1, len(_VELOCITY_PARTS)}:
            message = f"{text!r}: must be WINDOW:BASIS:AMOUNT[:COUNT], such as day:debits:1000.00"
            raise typer.BadParameter(message, param_hint=_VELOCITY)
        window, basis, amount, count = (*parts, "")[: len(_VELOCITY_PARTS)]
        if count and not (count.isascii() and count.isdigit()):
            raise typer.BadParameter(f"{count!r}: a count is a number", param_hint=_VELOCITY)
        yield VelocityLimit(
            window=VelocityWindow.Value(_choice(window, VelocityWindow.keys())),
            basis=VelocityBasis.Value(_choice(basis, VelocityBasis.keys())),
            max_amount_minor=read_bound(amount, exponent, _VELOCITY) if amount else 0,
            max_count=int(count or 0),
        )


def _choice(name: str, names: Sequence[str]) -> str:
    """Return the API's name of ``net-debits`` and the like; else it is a usage error."""
    for each in names:
        if each.split("_", 2)[2].replace("_", "-").lower() == name:
            return each
    known = [each.split("_", 2)[2].replace("_", "-").lower() for each in names[1:]]
    message = f"{name!r}: must be one of {', '.join(known)}"
    raise typer.BadParameter(message, param_hint=_VELOCITY)


def _show_limits(limits: WalletLimits | AccountLimits, currency: str, exponent: int) -> None:
    made = table(f"Limits, {currency}", "limit", "bound", right=("bound",))
    for name, text in limit_rows(limits, currency, exponent):
        made.add_row(name, text)
    if made.row_count:
        console().print(made)
    else:
        console().print(f"Limits, {currency}: none.")


def limit_rows(
    limits: WalletLimits | AccountLimits, currency: str, exponent: int
) -> Iterator[tuple[str, str]]:
    """Yield what each bound is called, and what it is."""
    names = {
        "overdraft_limit_minor": "overdraft",
        "min_balance_minor": "lowest balance",
        "max_balance_minor": "highest balance",
        "max_transaction_minor": "largest transaction",
    }
    for field, value in limits.ListFields():
        if field.name in names:
            yield names[field.name], money(value, currency, exponent)
        elif field.name == "over_capture_percent":
            yield "over-capture", f"{value} %"
    for item in limits.velocity:
        name = f"{word(VelocityBasis, item.basis)} in {_a(word(VelocityWindow, item.window))}"
        if item.max_amount_minor:
            yield name, money(item.max_amount_minor, currency, exponent)
        if item.max_count:
            yield f"number of {name}", f"{item.max_count:,}"


def _a(window: str) -> str:
    return f"an {window}" if window == "hour" else f"a {window}"


def _show_usage(usage: Sequence[VelocityUsage], currency: str, exponent: int) -> None:
    if not usage:
        return
    numbers = ("debits", "credits", "debit count", "credit count")
    made = table("Used", "window", "since (UTC)", *numbers, right=numbers)
    for item in usage:
        made.add_row(
            word(VelocityWindow, item.window),
            moment(item.start_time),
            money(item.debit_minor, currency, exponent),
            money(item.credit_minor, currency, exponent),
            f"{item.debit_count:,}",
            f"{item.credit_count:,}",
        )
    console().print(made)
