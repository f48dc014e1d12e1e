"""Who may subscribe and watch: no customer; and keys of two clients."""

from typing import Any

import grpc
import grpc.aio
import pytest

from guilder.notify.v1 import notify_service_pb2 as pb
from notify.domain.subscription import key_hash
from tests.claims import claim, customer
from tests.notify.world import WAIT_S, Client, reason_of
from walletkit.ids import format_id, new_id
from walletkit.principal import Role

URL = "https://example.com/hook"
MOVING = "service, operator, admin"


def requests() -> dict[str, Any]:
    """Write a request of each call that customers might try."""
    one = format_id(new_id(0))
    return {
        "CreateSubscription": pb.CreateSubscriptionRequest(url=URL, idempotency_key="k"),
        "ListSubscriptions": pb.ListSubscriptionsRequest(),
        "DeleteSubscription": pb.DeleteSubscriptionRequest(subscription_id=one),
        "ListDeadLetters": pb.ListDeadLettersRequest(subscription_id=one),
        "ReplayDeliveries": pb.ReplayDeliveriesRequest(subscription_id=one),
        "Watch": pb.WatchRequest(wallet_ids=[one], cursor="0"),
    }


@pytest.mark.parametrize("method", requests())
async def test_not_for_customers(notify: Client, method: str) -> None:
    """Events name wallets, not accounts: what is a customer's own can't be told, so none is."""
    call = getattr(notify.stub, method)
    started = call(requests()[method], timeout=WAIT_S, metadata=customer("alice"))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await (started.read() if method == "Watch" else started)
    assert caught.value.code() == grpc.StatusCode.PERMISSION_DENIED
    reason, metadata = reason_of(caught.value)
    assert reason == "PERMISSION_DENIED"
    assert MOVING.split(", ", maxsplit=1)[0] in metadata["roles"]


@pytest.mark.parametrize("method", ["CreateSubscription", "DeleteSubscription", "ReplayDeliveries"])
async def test_auditors_change_nothing(notify: Client, method: str) -> None:
    """Who reads all may list and watch, and neither subscribe nor replay."""
    call = getattr(notify.stub, method)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call(requests()[method], timeout=WAIT_S, metadata=claim(Role.AUDITOR))
    assert reason_of(caught.value) == ("PERMISSION_DENIED", {"roles": MOVING})
    listed = notify.stub.ListSubscriptions(
        pb.ListSubscriptionsRequest(), timeout=WAIT_S, metadata=claim(Role.AUDITOR)
    )
    assert not (await listed).subscriptions


async def test_t21_two_clients_one_key(notify: Client) -> None:
    """The same key of two clients makes two subscriptions; each gets its own again, and secret."""
    made: dict[str, tuple[str, str]] = {}
    for again in (False, True):
        for client in ("one", "two"):
            who = claim(Role.SERVICE, client=client)
            request = pb.CreateSubscriptionRequest(url=f"{URL}/{client}", idempotency_key="k")
            reply = await notify.stub.CreateSubscription(request, timeout=WAIT_S, metadata=who)
            assert reply.replayed == again
            found = (reply.subscription.subscription_id, reply.secret)
            assert made.setdefault(client, found) == found
    assert made["one"] != made["two"]


def test_keys_of_before_are_known_again() -> None:
    """A trusted caller's key as it was stored before there were credentials."""
    stored = "fd97ae9017e75f0514b0133891e41734d342ae6ffe97cde333114936dc1a9aa5"
    assert key_hash(b"", "key").hex() == stored
    assert len({key_hash(client, "key") for client in (b"", b"one", b"two")}) == 3
