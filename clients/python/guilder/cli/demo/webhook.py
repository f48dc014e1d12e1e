"""Let notify deliver real webhooks to this process, by a change that leaves no money moved."""

import asyncio
from contextlib import suppress
from urllib.parse import urlsplit

from guilder.cli.demo.receiver import PATH_PREFIX, Delivery, Receiver
from guilder.cli.importing.run import MAX_CALLS
from guilder.client import Guilder, GuilderError, Money

ACCOUNT = "guilder-demo"
AMOUNT = Money(currency_code="EUR", amount_minor=100)
EVENTS = ("transaction.posted", "transaction.posted", "wallet.closed")
"""What the change makes: a deposit, a withdrawal and the wallet's end."""

DELIVERY_SECONDS = 30.0
CLEANUP_SECONDS = 5.0


async def deliver(guilder: Guilder) -> list[Delivery]:
    """Subscribe, change a wallet of its own and return what was delivered.

    The wallet is fresh, gets and loses the same amount, and is closed: run after run, no balance of
    any other wallet changes.
    """
    await _forget_earlier_demos(guilder)
    made = await guilder.wallet.create_wallet(ACCOUNT, AMOUNT.currency_code, {"purpose": "demo"})
    wallet_id = made.wallet.wallet_id
    async with Receiver() as receiver:
        subscribed = await guilder.notify.create_subscription(receiver.url, wallet_ids=[wallet_id])
        try:
            receiver.trust(subscribed.secret)
            await guilder.wallet.deposit(wallet_id, AMOUNT, reference="demo in")
            await guilder.wallet.withdraw(wallet_id, AMOUNT, reference="demo out")
            await guilder.wallet.close_wallet(wallet_id)
            return _in_order(await receiver.wait(is_complete, DELIVERY_SECONDS))
        finally:
            # Also after Ctrl-C: notify would else go on trying a port where nobody listens.
            deletion = guilder.notify.delete_subscription(subscribed.subscription.subscription_id)
            with suppress(GuilderError, TimeoutError):
                async with asyncio.timeout(CLEANUP_SECONDS):
                    await asyncio.shield(deletion)


def is_complete(deliveries: list[Delivery]) -> bool:
    """Tell whether every event of the change was delivered with a good signature."""
    return sorted(item.type for item in _in_order(deliveries) if item.verified) == sorted(EVENTS)


def _in_order(deliveries: list[Delivery]) -> list[Delivery]:
    """Return deliveries by the wallet's own sequence: they may come in any order.

    The wallet's creation came before the subscription, and is delivered only if notify reads late.
    """
    wanted = [item for item in deliveries if item.type != "wallet.created"]
    return sorted(wanted, key=lambda item: int(item.body.get("walletSequence", 0)))


async def _forget_earlier_demos(guilder: Guilder) -> None:
    """Delete the subscriptions of demos that were killed before they could."""
    stale = [
        item.subscription_id
        async for item in guilder.notify.list_subscriptions(limit=MAX_CALLS)
        if urlsplit(item.url).path.startswith(PATH_PREFIX)
    ]
    for subscription_id in stale:
        with suppress(GuilderError):
            await guilder.notify.delete_subscription(subscription_id)
