"""Services that require credentials: callers by token, each other by token file or certificate."""

import time
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import grpc
import pytest

from guilder.ledger.v1 import ledger_service_pb2 as ledger
from guilder.ledger.v1 import ledger_service_pb2_grpc as ledger_stubs
from guilder.notify.v1 import notify_service_pb2 as notify
from guilder.notify.v1 import notify_service_pb2_grpc as notify_stubs
from guilder.type.v1.money_pb2 import Money
from guilder.wallet.v1 import wallet_audit_service_pb2 as audit
from guilder.wallet.v1 import wallet_audit_service_pb2_grpc as audit_stubs
from guilder.wallet.v1 import wallet_service_pb2 as wallet
from guilder.wallet.v1 import wallet_service_pb2_grpc as wallet_stubs
from tests.auth.certificates import Authority
from tests.conftest import FreshDatabases
from tests.e2e.guarded import CALL_S, INTERNAL_SUBJECT, SERVICES, Guarded, running
from walletkit.stack import issuer

INTERNAL_NAME = "services.guilder.test"


@pytest.fixture(params=["token file", "certificates"])
def guarded(
    request: pytest.FixtureRequest, fresh_databases: FreshDatabases, tmp_path: Path
) -> Iterator[Guarded]:
    """Run the suite by either kind of credential between the services."""
    if request.param == "token file":
        path = tmp_path / "service.token"
        path.write_text(issuer.made(tmp_path).sign(INTERNAL_SUBJECT, ()), encoding="utf-8")
        more = {f"{name.upper()}_AUTH_TOKEN_FILE": str(path) for name in SERVICES}
        with running(fresh_databases, tmp_path, more) as suite:
            suite.secrets.append(path.read_text(encoding="utf-8"))
            yield suite
        return
    authority = Authority(tmp_path)
    certificate, key = authority.issue(INTERNAL_NAME)
    tls = {
        "CERT": certificate,
        "KEY": key,
        "CA": authority.ca,
        "CLIENT_CA": authority.ca,
        "INTERNAL_NAMES": INTERNAL_NAME,
    }
    more = {f"{s.upper()}_TLS_{name}": str(value) for s in SERVICES for name, value in tls.items()}
    with running(fresh_databases, tmp_path, more, client_of(authority, "caller.test")) as suite:
        paths = (authority.ca, *authority.issue("verify.test"))
        variables = [f"GUILDER_TLS_{name}" for name in ("CA", "CERT", "KEY")]
        suite.tls |= dict(zip(variables, map(str, paths), strict=True))
        yield suite


def client_of(authority: Authority, name: str) -> grpc.ChannelCredentials:
    """Return the credentials of a client with a certificate."""
    certificate, key = authority.issue(name)
    return grpc.ssl_channel_credentials(
        authority.ca.read_bytes(), key.read_bytes(), certificate.read_bytes()
    )


def open_wallet(guarded: Guarded, account: str) -> str:
    """Open a wallet and put 10 euros into it, as an operator."""
    token = guarded.token("operator")
    with guarded.channel("wallet") as channel:
        stub = wallet_stubs.WalletServiceStub(channel)
        request = wallet.CreateWalletRequest(
            account_id=account, currency_code="EUR", idempotency_key=str(uuid4())
        )
        made = stub.CreateWallet(request, timeout=CALL_S, metadata=token)
        deposit = wallet.DepositRequest(
            wallet_id=made.wallet.wallet_id,
            amount=Money(currency_code="EUR", amount_minor=1_000),
            idempotency_key=str(uuid4()),
        )
        stub.Deposit(deposit, timeout=CALL_S, metadata=token)
        return str(made.wallet.wallet_id)


def test_the_services_know_callers_and_each_other(guarded: Guarded) -> None:
    """Callers get what their roles allow, an auditor the proof; records and lists pass between."""
    wallet_id = open_wallet(guarded, "alice")
    _lists_come_from_the_ledger(guarded, wallet_id)
    _the_ledger_compares_with_the_shard(guarded)
    _events_come_from_the_relay(guarded, wallet_id)
    _internal_calls_are_for_services(guarded)
    _callers_are_refused_by_reason(guarded, wallet_id)
    assert guarded.proves("auditor")
    assert not guarded.proves("service")
    logged = guarded.logged()
    assert "listening" in logged
    for secret in guarded.secrets:
        assert secret.rpartition(".")[2] not in logged


def _lists_come_from_the_ledger(guarded: Guarded, wallet_id: str) -> None:
    request = wallet.ListTransactionsRequest(wallet_id=wallet_id)
    deadline = time.monotonic() + CALL_S
    with guarded.channel("wallet") as channel:
        stub = wallet_stubs.WalletServiceStub(channel)
        while True:
            page = stub.ListTransactions(request, timeout=CALL_S, metadata=guarded.token("auditor"))
            if page.transactions:
                break
            assert time.monotonic() < deadline, guarded.logged()
            time.sleep(0.05)
    assert page.transactions[0].delta_minor == 1_000


def _the_ledger_compares_with_the_shard(guarded: Guarded) -> None:
    with guarded.channel("ledger") as channel:
        reply = ledger_stubs.LedgerServiceStub(channel).Reconcile(
            ledger.ReconcileRequest(shard=0), timeout=CALL_S, metadata=guarded.token("auditor")
        )
    assert reply.difference_count == 0


def _events_come_from_the_relay(guarded: Guarded, wallet_id: str) -> None:
    """Read from the beginning what notify got."""
    with guarded.channel("notify") as channel:
        watch = notify_stubs.NotifyServiceStub(channel).Watch(
            notify.WatchRequest(wallet_ids=[wallet_id]),
            timeout=CALL_S,
            metadata=guarded.token("auditor"),
        )
        first = next(watch)
        open_wallet(guarded, "alice")
        watch.cancel()
    assert first is not None


def _internal_calls_are_for_services(guarded: Guarded) -> None:
    token = guarded.token("operator", "admin", "service", "auditor")
    with guarded.channel("ledger") as channel:
        stub = ledger_stubs.LedgerServiceStub(channel)
        with pytest.raises(grpc.RpcError) as refused:
            list(stub.Ingest(iter(()), timeout=CALL_S, metadata=token))
        assert refused.value.code() == grpc.StatusCode.PERMISSION_DENIED
        with pytest.raises(grpc.RpcError) as unknown:
            list(stub.Ingest(iter(()), timeout=CALL_S))
        assert unknown.value.code() == grpc.StatusCode.UNAUTHENTICATED
    with guarded.channel("wallet") as channel:
        audits = audit_stubs.WalletAuditServiceStub(channel)
        with pytest.raises(grpc.RpcError) as refused:
            audits.ListShards(
                audit.ListShardsRequest(), timeout=CALL_S, metadata=guarded.token("service")
            )
        assert refused.value.code() == grpc.StatusCode.PERMISSION_DENIED


def _callers_are_refused_by_reason(guarded: Guarded, wallet_id: str) -> None:
    denied = grpc.StatusCode.PERMISSION_DENIED
    unknown = grpc.StatusCode.UNAUTHENTICATED
    good = guarded.issuer.sign("tester", ("operator",))
    cases = {
        unknown: [
            (),
            guarded.carrying(good[:-9] + "altered"),
            guarded.carrying("never.signed.by-anybody-at-all"),
        ],
        denied: [guarded.token("internal")],
    }
    request = wallet.GetBalanceRequest(wallet_id=wallet_id)
    with guarded.channel("wallet") as channel:
        stub = wallet_stubs.WalletServiceStub(channel)
        for code, calls in cases.items():
            for metadata in calls:
                with pytest.raises(grpc.RpcError) as refused:
                    stub.GetBalance(request, timeout=CALL_S, metadata=metadata)
                assert refused.value.code() == code
                assert not any(value[7:] in str(refused.value) for _key, value in metadata)
