"""Wallets made, read and listed; and that reading needs nobody but the wallet's own shard."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc.aio
import pytest
from grpc_health.v1 import health_pb2

from guilder.wallet.v1 import resources_pb2 as res
from guilder.wallet.v1 import wallet_service_pb2 as pb
from guilder.wallet.v1 import wallet_service_pb2_grpc as stubs
from tests.api.suite import NOWHERE, Suite, running
from wallet.engine import router
from walletkit.ids import format_id, new_id, parse_id, slot_of, slot_of_account

DEAD = "mysql://root@127.0.0.1:1/nothing"
READY_S = 20


@pytest.mark.parametrize(("currency", "exponent"), [("EUR", 2), ("JPY", 0), ("CLF", 4)])
@pytest.mark.parametrize("shard", [0, 1])
async def test_create_and_get(suite: Suite, shard: int, currency: str, exponent: int) -> None:
    """A new wallet is active and empty, at version 1; it lives where its account does."""
    account = suite.account(shard)
    metadata = {"ключ": "значение", "k": ""}
    reply = await suite.stub.CreateWallet(
        pb.CreateWalletRequest(
            account_id=account,
            currency_code=currency,
            metadata=metadata,
            idempotency_key=suite.key(),
        )
    )
    made = reply.wallet
    assert (made.account_id, made.currency_code, dict(made.metadata)) == (
        account,
        currency,
        metadata,
    )
    assert made.status == res.WALLET_STATUS_ACTIVE
    assert made.create_time.seconds > 1_700_000_000
    assert slot_of(parse_id(made.wallet_id)) == slot_of_account(account)
    assert reply.position.shard == shard
    assert reply.balance == res.Balance(
        wallet_id=made.wallet_id, currency_code=currency, exponent=exponent, version=1
    )
    found = await suite.stub.GetWallet(pb.GetWalletRequest(wallet_id=made.wallet_id))
    assert found.wallet == made
    balance = await suite.stub.GetBalance(pb.GetBalanceRequest(wallet_id=made.wallet_id))
    assert balance.balance == reply.balance


async def test_balance_read_is_the_balance_replied(suite: Suite) -> None:
    """Right after a change the read shows exactly what its reply did."""
    wallet = await suite.wallet(10)
    for amount in range(1, 6):
        reply = await suite.withdraw(wallet, amount if amount < 4 else 1)
        found = await suite.stub.GetBalance(pb.GetBalanceRequest(wallet_id=wallet))
        assert found.balance == reply.balance


async def pages(suite: Suite, account: str, size: int) -> AsyncIterator[list[str]]:
    """Read all pages of an account's wallets."""
    token = ""
    while True:
        request = pb.ListWalletsRequest(account_id=account, page_size=size, page_token=token)
        reply = await suite.stub.ListWallets(request)
        yield [wallet.wallet_id for wallet in reply.wallets]
        token = reply.next_page_token
        if not token:
            return


async def test_t27_list_while_creating(suite: Suite) -> None:
    """Paged while others create: what was there is listed once, in order, and nothing twice."""
    account = suite.account(1)
    there = [await suite.wallet_in(account) for _ in range(30)]
    creating = asyncio.gather(*[suite.wallet_in(account) for _ in range(60)])
    listed: list[str] = []
    async for page in pages(suite, account, 4):
        assert len(page) <= 4
        listed += page
        await asyncio.sleep(0.005)
    made = await creating
    assert listed == sorted(set(listed))
    assert set(there) <= set(listed) <= {*there, *made}
    everything = [wallet async for page in pages(suite, account, 1000) for wallet in page]
    assert everything == sorted([*there, *made])


async def test_list_pages(suite: Suite) -> None:
    """The default is 50 a page; an exact last page has no token; nobody has no wallets."""
    account = suite.account(0)
    wallets = sorted(await asyncio.gather(*[suite.wallet_in(account) for _ in range(60)]))
    assert [len(page) async for page in pages(suite, account, 0)] == [50, 10]
    assert [len(page) async for page in pages(suite, account, 20)] == [20, 20, 20]
    assert [page async for page in pages(suite, account, 1000)] == [wallets]
    assert [page async for page in pages(suite, suite.account(0), 0)] == [[]]


async def test_list_keeps_accounts_apart(suite: Suite) -> None:
    """Names that differ in case, or by their end, are different accounts."""
    name = f"{suite.account(0)}a"
    for account in (name, name.upper(), f"{name}0", f"{name}_"):
        wallet = await suite.wallet_in(account)
        assert [page async for page in pages(suite, account, 0)] == [[wallet]]


async def test_t28_ready_while_any_shard_answers(
    suite: Suite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the ledger down it is ready; with one shard of two too; with none it is not."""
    assert suite.router.ready()
    monkeypatch.setattr(router, "START_WAIT_S", 0.5)
    async with running((suite.urls[0], DEAD)) as half:
        assert half.router.ready()
    async with running((DEAD, DEAD)) as none:
        assert not none.router.ready()


@asynccontextmanager
async def process(urls: tuple[str, ...]) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """Run `python -m wallet serve` with no ledger, no notify and no Redis anywhere."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    settings = {
        "WALLET_LISTEN": address,
        "WALLET_AUTH_MODE": "trusted",
        "WALLET_LEDGER_ADDRESS": NOWHERE,
        "WALLET_NOTIFY_ADDRESS": NOWHERE,
        **{f"WALLET_SHARD_{number}_URL": url for number, url in enumerate(urls)},
    }
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("WALLET_")}
    served = await asyncio.create_subprocess_exec(
        sys.executable,
        "-P",
        "-m",
        "wallet",
        "serve",
        env={**inherited, **settings},
        stdout=asyncio.subprocess.DEVNULL,
    )
    try:
        yield served, address
    finally:
        if served.returncode is None:
            served.kill()
            await served.wait()


async def serving(channel: grpc.aio.Channel, service: str) -> None:
    """Wait until a service says that it serves."""
    watch = channel.unary_stream(
        "/grpc.health.v1.Health/Watch",
        request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
        response_deserializer=health_pb2.HealthCheckResponse.FromString,
    )
    request = health_pb2.HealthCheckRequest(service=service)
    call = watch(request, timeout=READY_S, wait_for_ready=True)
    async for reply in call:
        if reply.status == health_pb2.HealthCheckResponse.SERVING:
            call.cancel()
            return
    pytest.fail("it never served")


async def test_t28_serves_without_ledger_notify_and_redis(suite: Suite) -> None:
    """The real process turns SERVING, moves money, and ends with 0 within 5 s of SIGTERM."""
    wallet, far = await suite.wallet(10), await suite.wallet(shard=1)
    async with (
        process((suite.urls[0], suite.urls[1])) as (served, address),
        grpc.aio.insecure_channel(address) as channel,
    ):
        for service in ("", "guilder.wallet.v1.WalletService"):
            await serving(channel, service)
        transfer = suite.transfer_request(wallet, far, 4)
        made = await stubs.WalletServiceStub(channel).Transfer(transfer)
        assert made.transaction.state == res.TRANSACTION_STATE_COMPLETED
        served.send_signal(signal.SIGTERM)
        async with asyncio.timeout(5):
            assert await served.wait() == 0
    assert await suite.posted(far) == 4


async def test_reads_that_come_together_get_their_own_errors(suite: Suite) -> None:
    """Known and unknown ids in one burst: each caller hears of its own alone."""
    wallet = await suite.wallet(10)
    hold = await suite.authorize(wallet, 3)
    made = (await suite.withdraw(wallet, 1)).transaction.transaction_id
    unknown = format_id(new_id(slot_of(parse_id(wallet))))
    known = {"GetBalance": wallet, "GetWallet": wallet, "GetHold": hold.hold_id}
    known["GetTransaction"] = made
    field = {"GetHold": "hold_id", "GetTransaction": "transaction_id"}
    calls = [
        suite.do(method, **{field.get(method, "wallet_id"): id_})
        for method, there in known.items()
        for id_ in (there, unknown) * 20
    ]
    answers = await asyncio.gather(*calls, return_exceptions=True)
    for answer in answers[1::2]:
        assert isinstance(answer, grpc.aio.AioRpcError)
        assert answer.code() == grpc.StatusCode.NOT_FOUND
    shown = [answer for answer in answers[::2] if not isinstance(answer, BaseException)]
    assert [one.balance.posted_minor for one in shown[:20]] == [9] * 20
    assert [one.wallet.wallet_id for one in shown[20:40]] == [wallet] * 20
    assert [one.hold for one in shown[40:60]] == [hold] * 20
    assert [one.transaction.transaction_id for one in shown[60:]] == [made] * 20
