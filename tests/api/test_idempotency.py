"""One key, one outcome: whatever is raced, repeated or down."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import grpc.aio
import pytest
from google.protobuf.message import Message

from guilder.wallet.v1 import resources_pb2 as res
from guilder.wallet.v1 import wallet_service_pb2 as pb
from tests.api import books
from tests.api.failures import KEY_REUSED, Failure, declined, failure_of, not_found, of_error
from tests.api.suite import TIMEOUT_S, Suite, locked, money, running
from wallet.engine import router
from walletkit.ids import format_id, new_id
from walletkit.sql.session import open_session, run_packet

PARALLEL = 50
DEAD = "mysql://root@127.0.0.1:1/nothing"


def bytes_of(reply: Message) -> bytes:
    """Return a reply's bytes but for `replayed`, and `position`: at or behind the change."""
    copy = type(reply)()
    copy.CopyFrom(reply)
    copy.ClearField("replayed")
    copy.ClearField("position")
    return copy.SerializeToString(deterministic=True)


async def race(calls: Sequence[Awaitable[Any]]) -> tuple[Any, list[Any]]:
    """Make equal calls at once; return the one that did it and its replays, all of equal bytes."""
    replies = await asyncio.gather(*calls)
    assert len({bytes_of(reply) for reply in replies}) == 1
    firsts = [reply for reply in replies if not reply.replayed]
    assert len(firsts) == 1
    assert all(reply.position.seq >= firsts[0].position.seq for reply in replies)
    return firsts[0], [reply for reply in replies if reply.replayed]


@pytest.mark.parametrize("there", [0, 1])
async def test_t18_parallel_transfers_with_one_key(suite: Suite, there: int) -> None:
    """50 equal calls make one transfer and get 50 equal replies, within a shard and across."""
    source, destination = await suite.wallet(100), await suite.wallet(shard=there)
    key = suite.key()
    await race(
        [suite.transfer(source, destination, 3, idempotency_key=key) for _ in range(PARALLEL)]
    )
    assert (await suite.posted(source), await suite.posted(destination)) == (97, 3)


@pytest.mark.parametrize("method", ["deposit", "withdraw"])
async def test_t18_parallel_deposits_and_withdrawals_with_one_key(
    suite: Suite, method: str
) -> None:
    """The same for money in and out."""
    wallet = await suite.wallet(100)
    move, key = getattr(suite, method), suite.key()
    await race([move(wallet, 3, idempotency_key=key) for _ in range(PARALLEL)])
    assert await suite.posted(wallet) == (103 if method == "deposit" else 97)


async def test_t18_parallel_creations_with_one_key(suite: Suite) -> None:
    """50 equal creations in an account that nobody knew make one wallet."""
    account, key = suite.account(1), suite.key()
    request = pb.CreateWalletRequest(
        account_id=account, currency_code="EUR", metadata={"a": "b"}, idempotency_key=key
    )
    await race([suite.stub.CreateWallet(request) for _ in range(PARALLEL)])
    listed = await suite.stub.ListWallets(pb.ListWalletsRequest(account_id=account))
    assert len(listed.wallets) == 1


@pytest.mark.parametrize("method", ["freeze", "close"])
async def test_t18_parallel_changes_of_status_with_one_key(suite: Suite, method: str) -> None:
    """The same for freezing and closing."""
    wallet, key = await suite.wallet(), suite.key()
    first, replays = await race([getattr(suite, method)(wallet, key) for _ in range(PARALLEL)])
    assert first.balance.version == 2
    assert len(replays) == PARALLEL - 1


@pytest.mark.parametrize("there", [0, 1])
async def test_t18_parallel_declines_with_one_key(suite: Suite, there: int) -> None:
    """50 equal calls get 50 equal declines, and it stays declined when the money has come."""
    source, destination = await suite.wallet(10), await suite.wallet(shard=there)
    key = suite.key()
    outcome = declined("INSUFFICIENT_FUNDS", wallet_id=source, available=10, required=11)
    calls = [suite.transfer(source, destination, 11, idempotency_key=key) for _ in range(PARALLEL)]
    results = await asyncio.gather(*calls, return_exceptions=True)
    errors = [error for error in results if isinstance(error, grpc.aio.AioRpcError)]
    assert [of_error(error) for error in errors] == [outcome] * PARALLEL
    assert len({error.details() for error in errors}) == 1
    await suite.deposit(source, 1000)
    again = suite.transfer(source, destination, 11, idempotency_key=key)
    assert await failure_of(again) == outcome
    await suite.transfer(source, destination, 11)


async def test_version_mismatch_stays_declined(suite: Suite) -> None:
    """ABORTED is a decision too: the key gives it again, when the version would fit by now."""
    wallet, key = await suite.wallet(10), suite.key()
    metadata = {"wallet_id": wallet, "version": "2", "expected_version": "3"}
    for _ in range(2):
        failure = await failure_of(
            suite.withdraw(wallet, 1, idempotency_key=key, expected_version=3)
        )
        assert failure == Failure("ABORTED", "VERSION_MISMATCH", metadata)
        await suite.deposit(wallet, 1)


CALLS: dict[str, Callable[[Suite, str, str, str], Awaitable[Any]]] = {
    "deposit": lambda s, a, _b, key: s.deposit(
        a, 5, idempotency_key=key, reference="r", description="d", metadata={"x": "y", "a": ""}
    ),
    "withdraw": lambda s, a, _b, key: s.withdraw(a, 5, idempotency_key=key),
    "transfer": lambda s, a, b, key: s.transfer(a, b, 5, idempotency_key=key, metadata={"x": "y"}),
    "freeze": lambda s, a, _b, key: s.freeze(a, key),
}


@pytest.mark.parametrize("there", [0, 1])
@pytest.mark.parametrize("method", CALLS)
async def test_t19_replay_is_the_first_answer(suite: Suite, method: str, there: int) -> None:
    """Long after, with other balances, a replay is equal to the first reply byte for byte."""
    one, other = await suite.wallet(100), await suite.wallet(shard=there)
    key = suite.key()
    first = await CALLS[method](suite, one, other, key)
    if method == "freeze":
        await suite.unfreeze(one)
    await suite.deposit(one, 1000)
    await books.settled(suite.urls)
    before = await books.rows_of(suite.urls)
    again = await CALLS[method](suite, one, other, key)
    assert (first.replayed, again.replayed) == (False, True)
    assert bytes_of(again) == bytes_of(first)
    assert again.position.seq >= first.position.seq
    assert await books.rows_of(suite.urls) == before


async def test_replay_and_read_tell_what_the_home_has_not_heard_yet(suite: Suite) -> None:
    """The leg has landed and its intent is still open: it is COMPLETED all the same."""
    one, far, key = await suite.wallet(100), await suite.wallet(shard=1), suite.key()
    async with running(suite.urls, leg_wait_s=0.0) as hasty:
        await hasty.transfer(one, far, 1)
        async with locked(suite.urls[1], far):
            first = await hasty.transfer(one, far, 5, idempotency_key=key)
            assert first.transaction.state == res.TRANSACTION_STATE_PROCESSING
            again = await suite.transfer(one, far, 5, idempotency_key=key)
            assert again.transaction.state == res.TRANSACTION_STATE_PROCESSING
            stranger = await open_session(suite.urls[0], autocommit=False)
            await run_packet(stranger, "SELECT * FROM intents FOR UPDATE")
        while await suite.posted(far) < 6:  # noqa: ASYNC110  # somebody else lands it
            await asyncio.sleep(0.02)
        home = await books.ask(suite.urls[0], "SELECT state FROM transactions WHERE state=1")
        again = await suite.transfer(one, far, 5, idempotency_key=key)
        read = await suite.state(first.transaction.transaction_id)
        stranger.close()
        assert home == [(res.TRANSACTION_STATE_PROCESSING,)]
        assert again.replayed
        assert [again.transaction.state, read] == [res.TRANSACTION_STATE_COMPLETED] * 2


async def test_t19_replay_of_a_creation(suite: Suite) -> None:
    """A wallet's creation is answered again with the wallet, and zero, as it was then."""
    request = pb.CreateWalletRequest(
        account_id=suite.account(0),
        currency_code="JPY",
        metadata={"k": "v"},
        idempotency_key=suite.key(),
    )
    first = await suite.stub.CreateWallet(request)
    await suite.deposit(first.wallet.wallet_id, 5, currency="JPY")
    again = await suite.stub.CreateWallet(request)
    assert again.replayed
    assert bytes_of(again) == bytes_of(first)


async def test_t20_key_of_another_request(suite: Suite) -> None:
    """A key that was used, for success or decline, with any other field: refused, no effect."""
    one, other, third = await suite.wallet(100), await suite.wallet(), await suite.wallet(shard=1)
    made, refused = suite.key(), suite.key()
    await suite.transfer(one, other, 5, idempotency_key=made)
    await failure_of(suite.transfer(one, other, 500, idempotency_key=refused))
    before = await books.rows_of(suite.urls)
    for key in (made, refused):
        for call in (
            suite.transfer(one, other, 6, idempotency_key=key),
            suite.transfer(one, third, 5, idempotency_key=key),
            suite.transfer(one, other, 5, currency="USD", idempotency_key=key),
            suite.transfer(one, other, 5, idempotency_key=key, reference="x"),
            suite.transfer(one, other, 5, idempotency_key=key, description="x"),
            suite.transfer(one, other, 5, idempotency_key=key, metadata={"x": ""}),
            suite.transfer(one, other, 5, idempotency_key=key, expected_version=2),
            suite.withdraw(one, 5, idempotency_key=key),
            suite.deposit(one, 5, idempotency_key=key),
            suite.freeze(one, key),
        ):
            assert await failure_of(call) == KEY_REUSED
    assert await books.rows_of(suite.urls) == before


async def test_t20_key_of_another_creation(suite: Suite) -> None:
    """A creation's key means one currency and one metadata."""
    account, key = suite.account(0), suite.key()
    first = pb.CreateWalletRequest(account_id=account, currency_code="EUR", idempotency_key=key)
    await suite.stub.CreateWallet(first)
    dollars, labelled = pb.CreateWalletRequest(), pb.CreateWalletRequest(metadata={"a": "b"})
    dollars.CopyFrom(first)
    dollars.currency_code = "USD"
    labelled.MergeFrom(first)
    for request in (dollars, labelled):
        assert await failure_of(suite.stub.CreateWallet(request)) == KEY_REUSED


async def test_t21_same_key_of_two_wallets(suite: Suite) -> None:
    """Wallets, and accounts, don't share keys: nobody learns of another's, or is in the way."""
    one, other = await suite.wallet(100), await suite.wallet(100)
    key = suite.key()
    assert not (await suite.transfer(one, other, 5, idempotency_key=key)).replayed
    assert not (await suite.transfer(other, one, 7, idempotency_key=key)).replayed
    assert (await suite.posted(one), await suite.posted(other)) == (102, 98)
    made = [
        await suite.stub.CreateWallet(
            pb.CreateWalletRequest(account_id=account, currency_code="EUR", idempotency_key=key)
        )
        for account in (suite.account(0), suite.account(0))
    ]
    assert not any(reply.replayed for reply in made)


async def test_equal_requests_with_other_keys_are_two(suite: Suite) -> None:
    """Nothing is de-duplicated by what it says: only the key counts."""
    wallet = await suite.wallet()
    await asyncio.gather(*[suite.deposit(wallet, 5, reference="same") for _ in range(10)])
    assert await suite.posted(wallet) == 50


async def test_what_was_never_decided_leaves_the_key_free(suite: Suite) -> None:
    """INVALID_ARGUMENT and NOT_FOUND are not kept: the same key then makes another transfer."""
    one, other = await suite.wallet(100), await suite.wallet()
    key, nobody = suite.key(), format_id(new_id(9))
    assert await failure_of(suite.transfer(one, nobody, 5, idempotency_key=key)) == not_found(
        nobody
    )
    await failure_of(suite.transfer(one, other, 0, idempotency_key=key))
    assert not (await suite.transfer(one, other, 5, idempotency_key=key)).replayed


async def test_duplicates_within_a_batch(suite: Suite) -> None:
    """The first of equal transfers is made, the others replay it; declines likewise."""
    one, other, far = await suite.wallet(100), await suite.wallet(), await suite.wallet(shard=1)
    near = suite.transfer_request(one, other, 5)
    away = suite.transfer_request(one, far, 7)
    much = suite.transfer_request(one, other, 500)
    transfers = [near, away, much] * 20
    request = pb.BatchTransferRequest(transfers=transfers)
    results = (await suite.stub.BatchTransfer(request, timeout=TIMEOUT_S)).results
    for first in (0, 1):
        replies = [result.response for result in results[first::3]]
        assert [reply.replayed for reply in replies] == [False] + [True] * 19
        assert len({bytes_of(reply) for reply in replies}) == 1
    assert len({result.error.SerializeToString() for result in results[2::3]}) == 1
    ends = [await suite.posted(wallet) for wallet in (one, other, far)]
    assert ends == [88, 5, 7]


async def test_two_processes_race_the_same_keys(suite: Suite) -> None:
    """Two services on the same shards, sent the same calls at once: each key has one effect."""
    async with running(suite.urls) as second:
        one = await suite.wallet(10_000)
        others = [await suite.wallet(shard=n % 2) for n in range(4)]
        account, keys = suite.account(0), [suite.key() for _ in range(40)]

        def calls(service: Suite, number: int) -> list[Awaitable[Any]]:
            create = pb.CreateWalletRequest(
                account_id=account, currency_code="EUR", idempotency_key=keys[number]
            )
            other = others[number % 4]
            return [
                service.transfer(one, other, 1 + number, idempotency_key=keys[number]),
                service.deposit(other, 1, idempotency_key=keys[number]),
                service.stub.CreateWallet(create, timeout=TIMEOUT_S),
            ]

        replies = await asyncio.gather(
            *[call for n in range(len(keys)) for s in (suite, second) for call in calls(s, n)]
        )
        for number in range(len(keys)):
            for kind in range(3):
                pair = replies[number * 6 + kind], replies[number * 6 + 3 + kind]
                assert Counter(reply.replayed for reply in pair) == {False: 1, True: 1}
                if kind == 0:
                    # Of its leg only its own process knows at once that it has landed.
                    for reply in pair:
                        reply.transaction.ClearField("state")
                assert bytes_of(pair[0]) == bytes_of(pair[1])
        await books.settled(suite.urls)
        sent = sum(range(1, len(keys) + 1))
        assert await suite.posted(one) == 10_000 - sent
        assert sum([await suite.posted(other) for other in others]) == sent + len(keys)
        listed = await suite.stub.ListWallets(pb.ListWalletsRequest(account_id=account))
        assert len(listed.wallets) == len(keys)


async def test_replay_while_the_other_shard_is_down(
    suite: Suite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was decided is answered again; new transfers there fail before the debit."""
    one, near, far = await suite.wallet(100), await suite.wallet(), await suite.wallet(shard=1)
    key = suite.key()
    first = await suite.transfer(one, far, 5, idempotency_key=key)
    await books.settled(suite.urls)
    monkeypatch.setattr(router, "START_WAIT_S", 0.5)
    async with running((suite.urls[0], DEAD)) as half:
        again = await half.transfer(one, far, 5, idempotency_key=key)
        assert again.replayed
        assert bytes_of(again) == bytes_of(first)
        before = await books.rows_of(suite.urls)
        refusal = await failure_of(half.transfer(one, far, 5))
        assert (refusal.code, refusal.reason) == ("UNAVAILABLE", "SHARD_UNAVAILABLE")
        assert await books.rows_of(suite.urls) == before
        assert (await half.transfer(one, near, 5)).source_balance.posted_minor == 90
        for call in (half.deposit(far, 1), half.posted(far), half.transfer(far, one, 1)):
            refusal = await failure_of(call)
            assert (refusal.code, refusal.reason) == ("UNAVAILABLE", "SHARD_UNAVAILABLE")


async def test_key_that_met_a_dead_shard_can_be_used_again(
    suite: Suite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """UNAVAILABLE is not kept: the same call with the same key succeeds when the shard is back."""
    one, far, key = await suite.wallet(100), await suite.wallet(shard=1), suite.key()
    monkeypatch.setattr(router, "START_WAIT_S", 0.5)
    async with running((suite.urls[0], DEAD)) as half:
        await failure_of(half.transfer(one, far, 5, idempotency_key=key))
    reply = await suite.transfer(one, far, 5, idempotency_key=key)
    assert not reply.replayed
    assert reply.transaction.amount == money(5)
