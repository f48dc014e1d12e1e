"""Batches of a customer: each command is judged for itself, as its own call would be."""

import random
from collections.abc import AsyncIterator, Iterator
from typing import Any

import grpc.aio
import pytest
import pytest_asyncio

from tests.api import books
from tests.api.customers import Account, World, customers, nobody
from tests.api.failures import Failure, of_error, of_result
from tests.api.suite import TIMEOUT_S, Suite, money
from tests.claims import Metadata, claim, customer
from walletkit.principal import Role

Fields = dict[str, Any]


@pytest_asyncio.fixture
async def world(suite: Suite) -> AsyncIterator[World]:
    """Three accounts, and a service that knows its callers."""
    async with customers(suite) as world:
        yield world


def transfer(world: World, of: Account, to: str) -> Fields:
    """Write a transfer."""
    return {
        "source_wallet_id": of.wallet,
        "destination_wallet_id": to,
        "amount": money(1),
        "idempotency_key": world.suite.key(),
    }


def commands(world: World, rng: random.Random) -> Iterator[tuple[str, Fields, str]]:
    """Yield what customers may do, for all owners, and which reason each must meet, if any."""
    accounts = {
        "": [world.own],
        "no": [world.near, world.far, nobody("n", world.near), nobody("n", world.far)],
    }
    destinations = [world.own.spare, world.near.spare, world.far.spare]
    while True:
        whose = rng.choice(["", "no"])
        of = rng.choice(accounts[whose])
        by_id = {"amount": money(1), "idempotency_key": world.suite.key()}
        if rng.randrange(3):
            # The name is that of the far one's wallet, which can't pay itself.
            names = [] if of is world.far else [world.far.alias]
            payment = transfer(world, of, rng.choice(destinations + names))
            yield "transfer", payment, whose and "WALLET_NOT_FOUND"
        else:
            fields = {"wallet_id": of.wallet, **by_id}
            yield "authorize", fields, whose and "WALLET_NOT_FOUND"


@pytest.mark.parametrize("seed", range(5))
async def test_each_command_for_itself(world: World, seed: int) -> None:
    """Of a mixed batch just what is reached is done, and every command has its own answer."""
    rng = random.Random(seed)
    more = commands(world, rng)
    chosen = [next(more) for _ in range(60)]
    asked = [{name: fields} for name, fields, _ in chosen]
    before = {one: await world.suite.balance(one) for one in others(world)}
    found = (await world.do("BatchExecute", commands=asked, idempotency_key="")).results
    for (name, fields, reason), result in zip(chosen, found, strict=True):
        if reason:
            assert of_result(result).reason == reason, (name, fields)
        else:
            reply = getattr(result, name)
            assert result.WhichOneof("result") == name
            shown = reply.HasField("destination_balance") if name == "transfer" else True
            assert shown == (fields.get("destination_wallet_id", "") in {"", world.own.spare})
    for one, then in before.items():
        now = await world.suite.balance(one)
        assert (now.posted_minor, now.held_minor) >= (then.posted_minor, then.held_minor)


def others(world: World) -> list[str]:
    """List the wallets of others."""
    return [one for of in (world.near, world.far) for one in (of.wallet, of.spare)]


async def test_transfers_in_one_message(world: World) -> None:
    """BatchTransfer and StreamTransfers judge alike: foreign and unknown can't be told apart."""
    near, far = world.near, world.far
    sources = [world.own, near, nobody("n", near), far, nobody("n", far)]
    for method in ("BatchTransfer", "StreamTransfers"):
        fields = [transfer(world, of, near.spare) for of in sources]
        if method == "BatchTransfer":
            found = (await world.do(method, transfers=fields)).results
        else:
            messages = iter([world.suite.ask(method, transfers=fields)])
            who = customer(world.own.name)
            call = world.suite.stub.StreamTransfers(messages, timeout=TIMEOUT_S, metadata=who)
            (found,) = [message.results async for message in call]
        made, *missed = found
        assert made.response.HasField("source_balance")
        assert not made.response.HasField("destination_balance")
        for one, result in zip(sources[1:], missed, strict=True):
            error = of_result(result)
            assert error == Failure("NOT_FOUND", "WALLET_NOT_FOUND", {"wallet_id": one.wallet})


@pytest.mark.parametrize("dry", [True, False])
async def test_atomic_batches(world: World, dry: bool) -> None:  # noqa: FBT001  # one case each
    """One command that is not the customer's to make refuses all, and says which it was."""
    good = {"transfer": transfer(world, world.own, world.near.spare)}
    good["transfer"].pop("idempotency_key")
    before = await books.rows_of(world.suite.urls)
    for other in (world.near, nobody("n", world.near)):
        bad = {"transfer": {**good["transfer"], "source_wallet_id": other.wallet}}
        failure = await world.refused(
            "BatchExecute", commands=[good, bad], atomic=True, validate_only=dry
        )
        metadata = {"wallet_id": other.wallet, "failed_index": "1"}
        assert failure == Failure("NOT_FOUND", "WALLET_NOT_FOUND", metadata)
    assert await books.rows_of(world.suite.urls) == before
    reply = await world.do("BatchExecute", commands=[good], atomic=True, validate_only=dry)
    assert not reply.results[0].transfer.HasField("destination_balance")


async def test_t12_batches_bring_in_no_money(world: World) -> None:
    """What brings in money takes a role inside a batch, too; with it, it is done."""
    to = {"destination_wallet_id": world.own.wallet, "amount": money(5)}
    sides = ("sys:world", "sys:fees", "sys:exchange")
    asked: list[dict[str, Fields]] = [
        {"deposit": {"wallet_id": world.own.wallet, "amount": money(5)}},
        *[{"post_transaction": {"postings": [{"source_wallet_id": side, **to}]}} for side in sides],
    ]
    before = await books.rows_of(world.suite.urls)
    auditor = claim(Role.AUDITOR, Role.CUSTOMER, account=world.own.name)
    for who in (customer(world.own.name), auditor):
        for one in asked:
            assert await reasons(world, who, [one]) == ["PERMISSION_DENIED"]
            assert await reasons(world, who, [one], atomic=True) == ["PERMISSION_DENIED"]
    assert await books.rows_of(world.suite.urls) == before
    assert await reasons(world, claim(Role.SERVICE), asked) == [""] * len(asked)


async def reasons(
    world: World, who: Metadata, commands: list[dict[str, Fields]], *, atomic: bool = False
) -> list[str]:
    """Return why each command was refused, if it was; alone, or with the whole batch."""
    if not atomic:
        keyed = [(name, fields) for one in commands for name, fields in one.items()]
        commands = [
            {name: {**fields, "idempotency_key": world.suite.key()}} for name, fields in keyed
        ]
    key = world.suite.key() if atomic else ""
    call = world.call(who, "BatchExecute", commands=commands, atomic=atomic, idempotency_key=key)
    try:
        found = (await call).results
    except grpc.aio.AioRpcError as error:
        return [of_error(error).reason] * len(commands)
    return [of_result(one).reason if one.HasField("error") else "" for one in found]
