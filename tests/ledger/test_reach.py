"""What a customer reads of the ledger: the wallets of one account, and no list of others."""

from collections.abc import Mapping
from typing import Any

import grpc
import grpc.aio
import pytest

from guilder.ledger.v1 import ledger_service_pb2 as api
from guilder.type.v1.position_pb2 import Position
from tests.claims import Metadata, claim, customer
from tests.ledger.running import Running, info_of, reason_of
from tests.ledger.shards import Shard
from tests.ledger.test_reads import at
from walletkit.ids import format_id, new_id
from walletkit.principal import Role

ANN = customer("ann")
REQUESTS: Mapping[str, Any] = {
    "ListEntries": api.ListEntriesRequest,
    "GetStatement": api.GetStatementRequest,
    "GetBalance": api.GetBalanceRequest,
}


async def ask(
    running: Running,
    who: Metadata,
    method: str,
    **fields: Any,  # noqa: ANN401  # of any request
) -> list[Any]:
    """Make a call; return its answers."""
    call = getattr(running.stub, method)(REQUESTS[method](**fields), timeout=2, metadata=who)
    if method == "GetStatement":
        return [part async for part in call]
    return [await call]


async def refusal(running: Running, method: str, wallet: str, **fields: Any) -> tuple[object, ...]:  # noqa: ANN401
    """Make a customer's call that must fail; return all that it tells, but for the wallet."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await ask(running, ANN, method, wallet_id=wallet, **fields)
    error = caught.value
    metadata = {name: text.replace(wallet, "…") for name, text in info_of(error).metadata.items()}
    return error.code(), str(error.details()).replace(wallet, "…"), reason_of(error), metadata


@pytest.fixture
async def wallets(running: Running) -> dict[str, str]:
    """Two accounts with a wallet each, of one shard."""
    shard = Shard()
    made = {name: shard.create(account_id=name) for name in ("ann", "bob")}
    for wallet in made.values():
        shard.transfer(shard.world(), wallet, 1_000)
    shard.commit()
    shard.transfer(made["bob"], made["ann"], 5)
    shard.commit()
    await running.take(shard)
    return {name: format_id(wallet) for name, wallet in made.items()}


@pytest.mark.parametrize("method", REQUESTS)
async def test_foreign_is_unknown(running: Running, wallets: dict[str, str], method: str) -> None:
    """Another's wallet, a system wallet and one that nobody has answer alike."""
    nobody = format_id(new_id(0))
    ours = {"wallet_id": wallets["ann"]}
    (first, *_) = await ask(running, ANN, method, **ours)
    assert str(first) == str((await ask(running, (), method, **ours))[0])
    unknown = await refusal(running, method, nobody)
    assert unknown[2] == "WALLET_NOT_FOUND"
    for foreign in (wallets["bob"], "sys:0:world:EUR"):
        assert await refusal(running, method, foreign) == unknown
        assert await ask(running, claim(Role.AUDITOR), method, wallet_id=foreign)


@pytest.mark.parametrize("method", REQUESTS)
async def test_waiting_tells_nothing(
    running: Running, wallets: dict[str, str], method: str
) -> None:
    """Nor does a position say on which shard another's wallet is, or that it is there."""
    nobody = format_id(new_id(0))
    here, elsewhere = Position(shard=0, seq=1), Position(shard=1, seq=1)
    wrong = await refusal(running, method, wallets["ann"], min_position=elsewhere)
    assert wrong[2] == "INVALID_FIELD"
    told = await refusal(running, method, wallets["bob"], min_position=here)
    assert told == await refusal(running, method, nobody, min_position=here)
    # Whose deadline ends the wait, the caller's or the server's, is a matter of luck.
    code, *_ = await refusal(running, method, wallets["bob"], min_position=elsewhere)
    assert code == grpc.StatusCode.DEADLINE_EXCEEDED
    assert code == (await refusal(running, method, nobody, min_position=elsewhere))[0]


async def test_the_past_of_ones_own_wallet(running: Running, wallets: dict[str, str]) -> None:
    """A balance of an earlier moment is one's own to read, another's is not."""
    moment = {"at_time": at(1)}
    (reply,) = await ask(running, ANN, "GetBalance", wallet_id=wallets["ann"], **moment)
    assert reply.posted_minor == "0"
    assert (await refusal(running, "GetBalance", wallets["bob"], **moment))[2] == "WALLET_NOT_FOUND"


async def test_lists_of_transactions_take_a_role(running: Running, wallets: dict[str, str]) -> None:
    """They tell both sides of each whole: a customer's list is the wallet service's."""
    requests = (
        api.ListTransactionsRequest(wallet_id=wallets["ann"]),
        api.ListTransactionsRequest(account_id="ann"),
        api.ListTransactionsRequest(reference="r"),
    )
    for request in requests:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await running.stub.ListTransactions(request, timeout=2, metadata=ANN)
        assert caught.value.code() == grpc.StatusCode.PERMISSION_DENIED
        assert reason_of(caught.value) == "PERMISSION_DENIED"
        service = claim(Role.SERVICE)
        await running.stub.ListTransactions(request, timeout=2, metadata=service)
