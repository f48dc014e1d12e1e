"""Keys of two clients: each has a scope of its own, and learns nothing of the other's."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from guilder.wallet.v1 import wallet_service_pb2 as pb
from tests.api.customers import World, customers
from tests.api.suite import Suite, money
from tests.claims import claim, customer
from wallet.api.form import Form
from wallet.api.known import Known
from wallet.api.reach import CustomerForm, form_of
from wallet.api.verbs import CREATE_WALLET, TRANSFER
from walletkit.ids import format_id, slot_of_account
from walletkit.principal import TRUSTED, Principal, Role, become

SERVICE = claim(Role.SERVICE, client="one")
OTHER = claim(Role.SERVICE, client="two")


@pytest_asyncio.fixture
async def world(suite: Suite) -> AsyncIterator[World]:
    """Three accounts, and a service that knows its callers."""
    async with customers(suite) as world:
        yield world


async def test_t21_two_clients_one_key(world: World) -> None:
    """The same key of two clients makes two transfers, and each replays its own."""
    wallet, to = world.own.wallet, world.own.spare
    fields = {"source_wallet_id": wallet, "destination_wallet_id": to, "idempotency_key": "k"}
    callers = [SERVICE, OTHER, customer(world.own.name, "three"), ()]
    made = []
    for number, who in enumerate(callers, 1):
        # Another amount: had the key been known, this would be refused as used.
        reply = await world.call(who, "Transfer", **fields, amount=money(number))
        assert not reply.replayed
        made.append(reply.transaction.transaction_id)
    assert len(set(made)) == len(callers)
    for number, who in enumerate(callers, 1):
        reply = await world.call(who, "Transfer", **fields, amount=money(number))
        assert reply.replayed
        assert reply.transaction.transaction_id == made[number - 1]


async def test_t21_every_scope(world: World) -> None:
    """So it is for deposits, holds, accounts, and batches all or none."""
    wallet = {"wallet_id": world.own.wallet, "amount": money(1)}
    name = world.suite.account(0)
    transfer = {"source_wallet_id": world.own.wallet, "destination_wallet_id": world.own.spare}
    batch = {"commands": [{"transfer": {**transfer, "amount": money(1)}}], "atomic": True}
    calls: dict[str, dict[str, Any]] = {
        "Deposit": wallet,
        "Authorize": wallet,
        "IncrementHold": {"hold_id": world.own.hold, "amount": money(1)},
        "CreateWallet": {"account_id": name, "currency_code": "EUR"},
        "SetAccountLimits": {"account_id": name, "currency_code": "EUR"},
        "PostTransaction": {"postings": [{**transfer, "amount": money(1)}]},
        "BatchExecute": batch,
        "VoidHold": {"hold_id": world.own.hold},
    }
    for method, fields in calls.items():
        for who in (SERVICE, OTHER):
            if method == "VoidHold":
                held = await world.suite.authorize(world.own.wallet, 1)
                fields = {"hold_id": held.hold_id}  # noqa: PLW2901  # a hold is voided once
            told = [
                await world.call(who, method, **fields, idempotency_key=method) for _ in range(2)
            ]
            if method == "BatchExecute":
                told = [reply.results[0].transfer for reply in told]
            assert [reply.replayed for reply in told] == [False, True], method


@pytest.fixture
def transfer() -> pb.TransferRequest:
    """A transfer between two wallets."""
    one, other = bytes(range(1, 17)), bytes(range(17, 33))
    return pb.TransferRequest(
        source_wallet_id=_uuid(one),
        destination_wallet_id=_uuid(other),
        amount=money(5),
        idempotency_key="k",
    )


def _uuid(raw: bytes) -> str:
    """Write an id that has the form of a wallet's."""
    return format_id(raw[:6] + bytes((0x70 | raw[6] & 15, raw[7], 0x80 | raw[8] & 63)) + raw[9:])


def test_keys_of_trusted_callers_are_known_again(transfer: pb.TransferRequest) -> None:
    """Keys that were stored before there were credentials: a change of this breaks retries."""
    command = TRANSFER.parse(transfer, form_of(Known()))
    assert command.key_hash.hex() == "ff0260e5854093c96cbebbfbd91507fd"
    assert TRANSFER.parse(transfer, Form()).key_hash == command.key_hash


def test_a_client_is_the_scope_of_its_keys(transfer: pb.TransferRequest) -> None:
    """Each credential has keys of its own; the fingerprint is that of the request alone."""
    found = {}
    for client in ("", "one", "two"):
        become(Principal(client, TRUSTED.roles))
        found[client] = TRANSFER.parse(transfer, form_of(Known()))
    become(TRUSTED)
    assert len({command.key_hash for command in found.values()}) == len(found)
    assert len({command.fingerprint for command in found.values()}) == 1
    assert found[""].key_hash == TRANSFER.parse(transfer, form_of(Known())).key_hash


def test_who_reads_by_which_form() -> None:
    """Only those who are confined to an account pay for being so."""
    become(Principal("web", frozenset((Role.CUSTOMER,)), "alice"))
    form = form_of(Known())
    assert type(form) is CustomerForm
    request = pb.CreateWalletRequest(account_id="alice", currency_code="EUR", idempotency_key="k")
    assert CREATE_WALLET.parse(request, form).slot == slot_of_account("alice")
    for roles in (frozenset((Role.SERVICE,)), frozenset(Role)):
        become(Principal("web", roles, "alice"))
        assert type(form_of(Known())) is Form
    become(TRUSTED)
    assert type(form_of(Known())) is Form
