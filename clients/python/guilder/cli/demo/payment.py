"""The demo's payment: reserve, capture, give back, exchange, and a limit that refuses.

Its keys never change, so that a second demo is told what the first one did, and moves nothing.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from guilder.cli.render import console, money, table
from guilder.client import Guilder, LimitError, parse_amount, posting
from guilder.wallet.v1.resources_pb2 import (
    Balance,
    Transaction,
    TransactionState,
    WalletLimits,
)

CUSTOMER, SHOP = "guilder-demo-customer", "guilder-demo-shop"
LANDING_SECONDS = 10.0
POLL_SECONDS = 0.05
LIMIT = parse_amount("25.00", "EUR")


@dataclass(frozen=True, slots=True)
class Step:
    """What was asked for, and the customer's wallet right behind it."""

    what: str
    balance: Balance | None
    replayed: bool = False


async def pay(guilder: Guilder) -> bool:
    """Make the payment and show each step; return whether the limit refused what it should."""
    customer = await _wallet(guilder, CUSTOMER, "EUR")
    dollars = await _wallet(guilder, CUSTOMER, "USD")
    shop = await _wallet(guilder, SHOP, "EUR")
    steps = [
        *await _reserve(guilder, customer, shop),
        await _exchange(guilder, customer, dollars),
    ]
    refused = await _refuse(guilder, customer)
    _show([*steps, Step(f"withdraw 40.00 EUR: {refused or 'NOT refused'}", None)])
    return bool(refused)


async def _wallet(guilder: Guilder, account: str, currency: str) -> str:
    made = await guilder.wallet.create_wallet(
        account, currency, {"purpose": "demo"}, idempotency_key=f"demo-{currency}"
    )
    return made.wallet.wallet_id


async def _reserve(guilder: Guilder, customer: str, shop: str) -> list[Step]:
    """Bring money in, reserve some, capture part of it, release the rest, refund part of that."""
    paid_in = await guilder.wallet.deposit(
        customer, parse_amount("100.00", "EUR"), idempotency_key="demo-deposit"
    )
    held = await guilder.holds.authorize(
        customer,
        parse_amount("50.00", "EUR"),
        destination_wallet_id=shop,
        idempotency_key="demo-authorize",
    )
    hold_id = held.hold.hold_id
    captured = await guilder.holds.capture_hold(
        hold_id, parse_amount("30.00", "EUR"), idempotency_key="demo-capture"
    )
    voided = await guilder.holds.void_hold(hold_id, idempotency_key="demo-void")
    await _landed(guilder, captured.transaction)
    refund = await guilder.wallet.reverse_transaction(
        captured.transaction.transaction_id,
        parse_amount("10.00", "EUR"),
        reason="one item came back",
        actor="guilder demo",
        idempotency_key="demo-refund",
    )
    refunded = next((item for item in refund.balances if item.wallet_id == customer), None)
    return [
        Step("deposit 100.00 EUR", paid_in.balance, paid_in.replayed),
        Step("authorize 50.00 EUR for the shop", held.balance, held.replayed),
        Step("capture 30.00 EUR", captured.balance, captured.replayed),
        Step("void the rest", voided.balance, voided.replayed),
        Step("refund 10.00 EUR of it", refunded, refund.replayed),
    ]


async def _landed(guilder: Guilder, transaction: Transaction) -> None:
    """Wait until the shop has its money, on whatever shard: only then it can give some back."""
    async with asyncio.timeout(LANDING_SECONDS):
        while transaction.state == TransactionState.TRANSACTION_STATE_PROCESSING:
            await asyncio.sleep(POLL_SECONDS)
            transaction = await guilder.wallet.get_transaction(transaction.transaction_id)


async def _exchange(guilder: Guilder, customer: str, dollars: str) -> Step:
    """Exchange euros for dollars at a stated rate, with a fee, in one transaction."""
    reply = await guilder.wallet.post_transaction(
        [
            posting(customer, "sys:exchange", parse_amount("20.00", "EUR")),
            posting("sys:exchange", dollars, parse_amount("23.00", "USD")),
            posting(customer, "sys:fees", parse_amount("0.50", "EUR")),
        ],
        idempotency_key="demo-exchange",
    )
    after = next((item for item in reply.balances if item.wallet_id == customer), None)
    return Step("20.00 EUR for 23.00 USD, fee 0.50 EUR", after, reply.replayed)


async def _refuse(guilder: Guilder, customer: str) -> str:
    """Set a limit and break it; return the reason of the refusal, empty for none."""
    limits = WalletLimits(max_transaction_minor=LIMIT.amount_minor)
    await guilder.limits.set_wallet_limits(customer, limits, idempotency_key="demo-limit")
    try:
        await guilder.wallet.withdraw(
            customer, parse_amount("40.00", "EUR"), idempotency_key="demo-withdraw"
        )
    except LimitError as error:
        return error.reason
    return ""


def _show(steps: Sequence[Step]) -> None:
    numbers = ("posted", "held", "available")
    made = table("A customer's wallet, EUR", "step", *numbers, "", right=numbers)
    for step in steps:
        amounts = (
            [""] * len(numbers)
            if step.balance is None
            else [
                money(each, step.balance.currency_code, step.balance.exponent)
                for each in (
                    step.balance.posted_minor,
                    step.balance.held_minor,
                    step.balance.available_minor,
                )
            ]
        )
        made.add_row(step.what, *amounts, "replayed" if step.replayed else "")
    console().print(made)
