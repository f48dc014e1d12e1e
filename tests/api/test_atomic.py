"""BatchExecute: commands of any kind, each for itself, or all in one commit or none."""

import asyncio
from typing import Any

from guilder.wallet.v1 import wallet_service_pb2 as pb
from tests.api import books
from tests.api.failures import (
    KEY_REUSED,
    Failure,
    declined,
    failure_of,
    invalid,
    not_found,
    of_result,
)
from tests.api.suite import Suite, money
from walletkit.ids import format_id, new_id

Part = dict[str, Any]


def transfer(source: str, destination: str, amount: int, **more: object) -> Part:
    """Write a transfer of a batch."""
    wallets = {"source_wallet_id": source, "destination_wallet_id": destination}
    return {"transfer": {**wallets, "amount": money(amount), **more}}


def with_keys(suite: Suite, parts: list[Part]) -> list[Part]:
    """Give each command a key of its own."""
    return [
        {name: {"idempotency_key": suite.key(), **fields}}
        for part in parts
        for name, fields in part.items()
    ]


async def each(suite: Suite, parts: list[Part], **more: object) -> list[pb.BatchResult]:
    """Carry commands out, each for itself."""
    call = suite.do("BatchExecute", commands=parts, idempotency_key="", **more)
    return list((await call).results)


async def together(suite: Suite, parts: list[Part], **more: object) -> list[pb.BatchResult]:
    """Carry commands out all together."""
    return list((await suite.do("BatchExecute", commands=parts, atomic=True, **more)).results)


async def test_commands_of_every_kind_each_for_itself(suite: Suite) -> None:
    """Results are in order, of the command's own kind; what fails fails alone."""
    one, far = await suite.wallet(100), await suite.wallet(shard=1)
    hold, other = await suite.authorize(one, 20), await suite.authorize(one, 5)
    made = (await suite.transfer(one, far, 10)).transaction
    parts: list[Part] = [
        {"deposit": {"wallet_id": far, "amount": money(1)}},
        {"withdraw": {"wallet_id": one, "amount": money(1)}},
        transfer(one, far, 1),
        {"authorize": {"wallet_id": one, "amount": money(1)}},
        {"increment_hold": {"hold_id": hold.hold_id, "amount": money(1)}},
        {"extend_hold": {"hold_id": hold.hold_id, "expire_time": {"seconds": 1}}},
        {"capture_hold": {"hold_id": hold.hold_id}},
        {"void_hold": {"hold_id": other.hold_id}},
        {"reverse_transaction": {"transaction_id": made.transaction_id}},
        {
            "post_transaction": {
                "postings": [
                    {
                        "source_wallet_id": one,
                        "destination_wallet_id": "sys:fees",
                        "amount": money(1),
                    }
                ]
            }
        },
        {"void_hold": {"hold_id": format_id(new_id(3))}},
        transfer(one, far, 0),
        transfer(one, far, 10**6),
    ]
    results = await each(suite, with_keys(suite, parts))
    kinds = [result.WhichOneof("result") for result in results]
    expected = [next(iter(part)) for part in parts]
    expected[5] = "error"
    assert kinds == [*expected[:10], "error", "error", "error"]
    reasons = [of_result(results[n]).reason for n in (5, 10, 11, 12)]
    assert reasons == ["HOLD_EXPIRE_TIME", "HOLD_NOT_FOUND", "INVALID_FIELD", "INSUFFICIENT_FUNDS"]


async def test_all_or_none(suite: Suite) -> None:
    """A decline of one undoes those before it; it says which one it was."""
    one, other, third = [await suite.wallet(10) for _ in range(3)]
    parts = [transfer(one, other, 10), transfer(other, third, 20), transfer(third, one, 31)]
    failure = await failure_of(together(suite, parts))
    shown = {"wallet_id": third, "available": 30, "required": 31}
    assert failure == declined("INSUFFICIENT_FUNDS", **shown, failed_index=2)
    assert await suite.posted(one) == 10
    parts[2] = transfer(third, one, 30)
    results = await together(suite, parts)
    balances = [result.transfer.source_balance.posted_minor for result in results]
    assert balances == [0, 0, 0]
    ends = [await suite.posted(wallet) for wallet in (one, other, third)]
    assert ends == [30, 0, 0]


async def test_atomic_batch_is_replayed_as_a_whole(suite: Suite) -> None:
    """One key, one outcome: raced or repeated, and none other with it; a decline is kept too."""
    one, other, key = await suite.wallet(100), await suite.wallet(), suite.key()
    parts = [
        transfer(one, other, 10),
        {"authorize": {"wallet_id": one, "amount": money(5)}},
        {"deposit": {"wallet_id": other, "amount": money(1)}},
    ]
    raced = await asyncio.gather(*[together(suite, parts, idempotency_key=key) for _ in range(10)])
    replayed = sorted(results[0].transfer.replayed for results in raced)
    assert replayed == [False] + [True] * 9
    ids = {results[0].transfer.transaction.transaction_id for results in raced}
    holds = {results[1].authorize.hold.hold_id for results in raced}
    assert (len(ids), len(holds)) == (1, 1)
    assert (await suite.posted(one), await suite.posted(other)) == (90, 11)
    assert await failure_of(together(suite, parts[:2], idempotency_key=key)) == KEY_REUSED
    too_much, refused = [transfer(one, other, 86)], suite.key()
    failure = await failure_of(together(suite, too_much, idempotency_key=refused))
    await suite.deposit(one, 100)
    assert await failure_of(together(suite, too_much, idempotency_key=refused)) == failure


async def test_atomic_batch_over_slots_and_to_other_shards(suite: Suite) -> None:
    """All commands are on one shard, of whatever slot; their credits go anywhere."""
    one, other, far = await suite.wallet(100), await suite.wallet(10), await suite.wallet(shard=1)
    await together(suite, [transfer(one, far, 5), transfer(other, far, 6)])
    await books.settled(suite.urls)
    assert await suite.posted(far) == 11
    split = [transfer(one, other, 1), transfer(far, one, 1), transfer(far, other, 1)]
    assert await failure_of(together(suite, split)) == invalid("commands[1]")


async def test_holds_in_an_atomic_batch(suite: Suite) -> None:
    """A hold is captured in one commit with what the money is for."""
    one, shop = await suite.wallet(100), await suite.wallet()
    hold = await suite.authorize(one, 50)
    results = await together(
        suite,
        [
            {"capture_hold": {"hold_id": hold.hold_id, "destination_wallet_id": shop}},
            transfer(shop, one, 20),
        ],
    )
    assert results[0].capture_hold.hold.captured_minor == 50
    assert results[1].transfer.source_balance.posted_minor == 30
    nothing = {"capture_hold": {"hold_id": hold.hold_id}}
    failure = await failure_of(together(suite, [transfer(one, shop, 1), nothing]))
    assert failure == declined("HOLD_CAPTURED", hold_id=hold.hold_id, failed_index=1)
    unknown = format_id(new_id(3))
    failure = await failure_of(
        together(suite, [transfer(one, shop, 1), {"void_hold": {"hold_id": unknown}}])
    )
    shown = {"hold_id": unknown, "failed_index": "1"}
    assert failure == Failure("NOT_FOUND", "HOLD_NOT_FOUND", shown)


async def test_bad_batches(suite: Suite) -> None:
    """The shape of a batch, and of the commands in it, each named with its place."""
    one, other = await suite.wallet(100), await suite.wallet()
    good = transfer(one, other, 1)
    keyed = with_keys(suite, [good])
    assert await failure_of(each(suite, [])) == invalid("commands")
    assert await failure_of(each(suite, keyed * 1001)) == invalid("commands")
    assert await failure_of(each(suite, [{}])) == invalid("commands[0]")
    with_key = suite.do("BatchExecute", commands=keyed)
    assert await failure_of(with_key) == invalid("idempotency_key")
    without = together(suite, [good], idempotency_key="")
    assert await failure_of(without) == invalid("idempotency_key")
    place = "commands[1].transfer"
    assert await failure_of(together(suite, [good, *keyed])) == invalid(f"{place}.idempotency_key")
    only = transfer(one, other, 1, validate_only=True)
    assert await failure_of(together(suite, [good, only])) == invalid(f"{place}.validate_only")
    bad = transfer(one, "x", 0)
    assert await failure_of(together(suite, [good, bad])) == invalid(
        f"{place}.destination_wallet_id", f"{place}.amount.amount_minor"
    )
    nobody = format_id(new_id(5))
    failure = await failure_of(together(suite, [good, transfer(one, nobody, 1)]))
    expected = not_found(nobody)
    expected.metadata["failed_index"] = "1"
    assert failure == expected
    assert await suite.posted(one) == 100


async def test_largest_batches(suite: Suite) -> None:
    """1,000 commands, either way."""
    one, other = await suite.wallet(2000), await suite.wallet()
    parts = [transfer(one, other, 1) for _ in range(1000)]
    results = await together(suite, parts)
    assert results[-1].transfer.source_balance.posted_minor == 1000
    await each(suite, with_keys(suite, parts))
    assert (await suite.posted(one), await suite.posted(other)) == (0, 2000)


def posting(payer: str, count: int, **more: object) -> Part:
    """Write several postings of a batch."""
    line = {
        "source_wallet_id": payer,
        "destination_wallet_id": "sys:fees",
        "amount": money(1),
    }
    return {"post_transaction": {"postings": [line] * count, **more}}


async def test_no_reply_outgrows_its_message(suite: Suite) -> None:
    """More postings than one reply can tell are refused before anything is done."""
    payer = await suite.wallet(20_000)
    parts = [posting(payer, 100) for _ in range(101)]
    assert await failure_of(together(suite, parts)) == invalid("commands")
    assert await failure_of(each(suite, with_keys(suite, parts))) == invalid("commands")
    assert await suite.posted(payer) == 20_000
    results = await each(suite, with_keys(suite, parts[1:]))
    assert not any(result.HasField("error") for result in results)
    made = [result.post_transaction.transaction.transaction_id for result in results]
    backs: list[Part] = [{"reverse_transaction": {"transaction_id": tx_id}} for tx_id in made]
    last = posting(payer, 1)
    assert await failure_of(together(suite, [*backs, last])) == invalid("commands")
    assert await suite.posted(payer) == 10_000


async def test_no_atomic_batch_outgrows_its_packet(suite: Suite) -> None:
    """One commit carries about two megabytes; each for itself, the same commands are many."""
    payer = await suite.wallet(1000)
    parts = [posting(payer, 1, description="x" * 4000) for _ in range(500)]
    assert await failure_of(together(suite, parts)) == invalid("commands")
    await together(suite, parts[:400])
    await each(suite, with_keys(suite, parts))
    assert await suite.posted(payer) == 100
