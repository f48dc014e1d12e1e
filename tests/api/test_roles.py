"""A command inside a batch needs the role of its own call, and a refusal says so."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc.aio
import pytest

from guilder.wallet.v1 import wallet_service_pb2 as pb
from guilder.wallet.v1 import wallet_service_pb2_grpc as stubs
from tests.api.failures import of_error
from tests.api.suite import NOWHERE, TIMEOUT_S, Suite, money
from tests.auth.issuing import Signer, verifier_of, write
from wallet.api.history import History
from wallet.api.verbs import IN_BATCHES, METHODS
from wallet.api.wallet_servicer import WalletServicer
from walletkit.rpc.admission import Admission
from walletkit.rpc.interceptor import StatusInterceptor
from walletkit.rpc.roles import ROLES

SIGNER = Signer()


@asynccontextmanager
async def guarding(suite: Suite, folder: Path) -> AsyncIterator[Any]:
    """Serve the same wallets once more, to callers with tokens only."""
    verifier = await verifier_of(write(folder, SIGNER.jwk))
    server = grpc.aio.server(
        interceptors=(StatusInterceptor(Admission(trusting=False, verifier=verifier)),)
    )
    async with grpc.aio.insecure_channel(NOWHERE) as ledger:
        servicer = WalletServicer(suite.router, History(ledger))
        stubs.add_WalletServiceServicer_to_server(servicer, server)
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield stubs.WalletServiceStub(channel)
        await server.stop(None)
    await verifier.stop()


def test_each_command_of_a_batch_has_the_row_of_a_call() -> None:
    """None is without a row, and a batch can't do what no call can."""
    assert METHODS.keys() == IN_BATCHES.keys()
    assert METHODS.keys() == {field.name for field in pb.BatchCommand.DESCRIPTOR.fields}
    assert all(path in ROLES for path in METHODS.values())


@pytest.mark.parametrize("atomic", [False, True])
async def test_a_batch_is_no_way_round_the_table(
    suite: Suite, tmp_path: Path, *, atomic: bool
) -> None:
    """A customer's deposit is refused inside a batch too, whole; an operator's passes."""
    wallet_id = await suite.wallet()
    async with guarding(suite, tmp_path) as stub:
        request = pb.BatchExecuteRequest(atomic=atomic)
        deposit = request.commands.add().deposit
        deposit.wallet_id = wallet_id
        deposit.amount.CopyFrom(money(100))
        if atomic:
            request.idempotency_key = suite.key()
        deposit.idempotency_key = "" if atomic else suite.key()
        token = SIGNER.token("customer", account_id=suite.account(0))
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.BatchExecute(request, timeout=TIMEOUT_S, metadata=_bearer(token))
        failure = of_error(refused.value)
        assert (failure.code, failure.reason) == ("PERMISSION_DENIED", "PERMISSION_DENIED")
        assert failure.metadata == {"method": "Deposit", "roles": "service, operator, admin"}
        token = SIGNER.token("operator")
        reply = await stub.BatchExecute(request, timeout=TIMEOUT_S, metadata=_bearer(token))
        assert reply.results[0].deposit.balance.posted_minor == 100


async def test_credentials_have_their_reasons(suite: Suite, tmp_path: Path) -> None:
    """Without a token, with a wrong one, with an old one: told apart, by code and reason."""
    request = pb.GetBalanceRequest(wallet_id=await suite.wallet())
    async with guarding(suite, tmp_path) as stub:
        for metadata, reason in (
            ((), "CREDENTIALS_MISSING"),
            (_bearer(Signer().token()), "CREDENTIALS_INVALID"),
            (_bearer(SIGNER.token(exp=1)), "CREDENTIALS_EXPIRED"),
        ):
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await stub.GetBalance(request, timeout=TIMEOUT_S, metadata=metadata)
            failure = of_error(refused.value)
            assert (failure.code, failure.reason) == ("UNAUTHENTICATED", reason)


def _bearer(token: str) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {token}"),)
