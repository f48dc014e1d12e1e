"""A request for each public call, on wallets of its own: a call without one fails the tests."""

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from guilder.edge.v1 import key_service_pb2 as keys
from guilder.ledger.v1 import audit_events_pb2 as audit
from guilder.ledger.v1 import ledger_service_pb2 as ledger
from guilder.notify.v1 import notify_service_pb2 as notify
from guilder.type.v1.money_pb2 import Money
from guilder.wallet.v1 import holds_pb2 as holds
from guilder.wallet.v1 import limits_pb2 as limits
from guilder.wallet.v1 import postings_pb2 as postings
from guilder.wallet.v1 import resources_pb2 as resources
from guilder.wallet.v1 import wallet_service_pb2 as wallet
from tests.front.door import Door

Make = Callable[[Door], Awaitable[Message]]
WALLET, LEDGER, NOTIFY = (
    f"/guilder.{name}.v1.{name.title()}Service/" for name in ("wallet", "ledger", "notify")
)
KEYS = "/guilder.edge.v1.KeyService/"
HOUR_S = 3_600
BOOKED_TRIES = 400
OK = 200


def key() -> str:
    """Return a fresh key."""
    return secrets.token_hex(8)


def account() -> str:
    """Return an account of nobody else."""
    return f"account-{secrets.token_hex(4)}"


def euros(minor: int = 100) -> Money:
    """Return an amount."""
    return Money(currency_code="EUR", amount_minor=minor)


def later(seconds: int = HOUR_S) -> Timestamp:
    """Return a time to come."""
    return Timestamp(seconds=int(time.time()) + seconds)


async def _key_id(door: Door) -> str:
    made = await door.post(
        "/v1/keys",
        {
            "kind": "KEY_KIND_BEARER",
            "clientId": account(),
            "roles": ["service"],
            "reason": "a test",
        },
    )
    key_id: str = made["key"]["keyId"]
    return key_id


async def _frozen(door: Door) -> str:
    made = await door.wallet(account())
    await door.post(f"/v1/wallets/{made}:freeze", {})
    return made


async def _transfer(door: Door) -> wallet.TransferRequest:
    return wallet.TransferRequest(
        source_wallet_id=await door.wallet(account()),
        destination_wallet_id=await door.wallet(account(), 0),
        amount=euros(),
        idempotency_key=key(),
        reference="r-1",
        metadata={"a/b": "c d"},
    )


async def _transaction(door: Door) -> str:
    request = await _transfer(door)
    body = {
        "sourceWalletId": request.source_wallet_id,
        "destinationWalletId": request.destination_wallet_id,
        "amount": {"currencyCode": "EUR", "amountMinor": "100"},
    }
    made = await door.post("/v1/transfers", body)
    transaction: str = made["transaction"]["transactionId"]
    return transaction


async def _subscription(door: Door) -> str:
    body = {"url": "http://127.0.0.1:9/none", "eventTypes": ["wallet.closed"]}
    made = await door.post("/v1/subscriptions", body)
    subscription: str = made["subscription"]["subscriptionId"]
    return subscription


async def _some_wallet(door: Door) -> str:
    return await door.wallet(account())


async def _booked(door: Door) -> str:
    """Return a wallet that the ledger has heard of."""
    made = await _some_wallet(door)
    path = f"/v1/ledger/wallets/{made}/entries"
    for _ in range(BOOKED_TRIES):
        if (await door.send("GET", path)).status == OK:
            break
        await asyncio.sleep(0.05)
    return made


async def _account(door: Door) -> str:
    name = account()
    await door.wallet(name)
    return name


async def _frozen_account(door: Door) -> str:
    name = await _account(door)
    await door.post(f"/v1/accounts/{name}:freeze", {"scope": "FREEZE_SCOPE_ALL"})
    return name


async def _batch(door: Door) -> Message:
    return wallet.BatchTransferRequest(transfers=[await _transfer(door), await _transfer(door)])


async def _execute(door: Door) -> Message:
    return wallet.BatchExecuteRequest(
        commands=[wallet.BatchCommand(transfer=await _transfer(door))]
    )


async def _post(door: Door) -> Message:
    part = await _transfer(door)
    posting = postings.Posting(
        source_wallet_id=part.source_wallet_id,
        destination_wallet_id=part.destination_wallet_id,
        amount=euros(),
    )
    return postings.PostTransactionRequest(postings=[posting], idempotency_key=key())


async def _authorize(door: Door) -> Message:
    return holds.AuthorizeRequest(
        wallet_id=await _some_wallet(door),
        amount=euros(),
        idempotency_key=key(),
        expire_time=later(),
    )


async def _capture(door: Door) -> Message:
    return holds.CaptureHoldRequest(
        hold_id=await door.hold(await _some_wallet(door)),
        destination_wallet_id=await door.wallet(account(), 0),
        amount=euros(60),
        idempotency_key=key(),
    )


async def _account_limits(door: Door) -> Message:
    return limits.SetAccountLimitsRequest(
        account_id=await _account(door),
        currency_code="EUR",
        limits=resources.AccountLimits(max_transaction_minor=500),
        idempotency_key=key(),
    )


async def _replay(door: Door) -> Message:
    return notify.ReplayDeliveriesRequest(
        subscription_id=await _subscription(door),
        start_time=later(-HOUR_S),
        end_time=later(-HOUR_S // 2),
    )


async def _held(door: Door) -> str:
    return await door.hold(await _some_wallet(door))


def of(kind: Callable[..., Message], /, **fields: object) -> Make:
    """Return what makes a request; a function among its fields is asked for the value."""

    async def make(door: Door) -> Message:
        values = {
            name: await value(door) if callable(value) else value for name, value in fields.items()
        }
        if "idempotency_key" in values:
            values["idempotency_key"] = key()
        return kind(**values)

    return make


KEYED = {"idempotency_key": ""}
CALLS: dict[str, Make] = {
    f"{WALLET}CreateWallet": of(
        wallet.CreateWalletRequest,
        account_id="front",
        currency_code="EUR",
        metadata={"k": "ü"},
        **KEYED,
    ),
    f"{WALLET}GetWallet": of(wallet.GetWalletRequest, wallet_id=_some_wallet),
    f"{WALLET}UpdateWallet": of(
        wallet.UpdateWalletRequest, wallet_id=_some_wallet, metadata={"k": "v"}, **KEYED
    ),
    f"{WALLET}ListWallets": of(wallet.ListWalletsRequest, account_id=_account, page_size=1),
    f"{WALLET}GetBalance": of(wallet.GetBalanceRequest, wallet_id=_some_wallet),
    f"{WALLET}Deposit": of(wallet.DepositRequest, wallet_id=_some_wallet, amount=euros(), **KEYED),
    f"{WALLET}Withdraw": of(
        wallet.WithdrawRequest, wallet_id=_some_wallet, amount=euros(), **KEYED
    ),
    f"{WALLET}Transfer": _transfer,
    f"{WALLET}BatchTransfer": _batch,
    f"{WALLET}BatchExecute": _execute,
    f"{WALLET}PostTransaction": _post,
    f"{WALLET}ReverseTransaction": of(
        postings.ReverseTransactionRequest, transaction_id=_transaction, amount=euros(1), **KEYED
    ),
    f"{WALLET}Authorize": _authorize,
    f"{WALLET}IncrementHold": of(
        holds.IncrementHoldRequest, hold_id=_held, amount=euros(), **KEYED
    ),
    f"{WALLET}ExtendHold": of(
        holds.ExtendHoldRequest, hold_id=_held, expire_time=later(300 * 24 * HOUR_S), **KEYED
    ),
    f"{WALLET}CaptureHold": _capture,
    f"{WALLET}VoidHold": of(holds.VoidHoldRequest, hold_id=_held, **KEYED),
    f"{WALLET}GetHold": of(holds.GetHoldRequest, hold_id=_held),
    f"{WALLET}ListHolds": of(holds.ListHoldsRequest, wallet_id=_some_wallet),
    f"{WALLET}GetTransaction": of(wallet.GetTransactionRequest, transaction_id=_transaction),
    f"{WALLET}GetTransactionFamily": of(postings.GetTransactionFamilyRequest, id=_transaction),
    f"{WALLET}ListTransactions": of(
        wallet.ListTransactionsRequest,
        wallet_id=_some_wallet,
        types=[resources.TRANSACTION_TYPE_DEPOSIT, resources.TRANSACTION_TYPE_TRANSFER],
    ),
    f"{WALLET}FreezeWallet": of(wallet.FreezeWalletRequest, wallet_id=_some_wallet, **KEYED),
    f"{WALLET}UnfreezeWallet": of(wallet.UnfreezeWalletRequest, wallet_id=_frozen, **KEYED),
    f"{WALLET}CloseWallet": of(
        wallet.CloseWalletRequest, wallet_id=lambda door: door.wallet(account(), 0), **KEYED
    ),
    f"{WALLET}FreezeAccount": of(
        limits.FreezeAccountRequest,
        account_id=_account,
        scope=resources.FREEZE_SCOPE_ALL,
        **KEYED,
    ),
    f"{WALLET}UnfreezeAccount": of(
        limits.UnfreezeAccountRequest, account_id=_frozen_account, **KEYED
    ),
    f"{WALLET}SetWalletLimits": of(
        limits.SetWalletLimitsRequest,
        wallet_id=_some_wallet,
        limits=resources.WalletLimits(overdraft_limit_minor=5),
        **KEYED,
    ),
    f"{WALLET}GetWalletLimits": of(limits.GetWalletLimitsRequest, wallet_id=_some_wallet),
    f"{WALLET}SetAccountLimits": _account_limits,
    f"{WALLET}GetAccountLimits": of(
        limits.GetAccountLimitsRequest, account_id=_account, currency_code="EUR"
    ),
    f"{WALLET}RegisterAsset": of(
        limits.RegisterAssetRequest, currency_code="FRONTCOIN", exponent=4, **KEYED
    ),
    f"{WALLET}ListAssets": of(limits.ListAssetsRequest),
    f"{LEDGER}ListEntries": of(ledger.ListEntriesRequest, wallet_id=_booked),
    f"{LEDGER}GetStatement": of(ledger.GetStatementRequest, wallet_id=_booked),
    f"{LEDGER}GetBalance": of(ledger.GetBalanceRequest, wallet_id=_booked),
    f"{LEDGER}GetTrialBalance": of(ledger.GetTrialBalanceRequest, shard=0),
    f"{LEDGER}GetChartOfAccounts": of(ledger.GetChartOfAccountsRequest),
    f"{LEDGER}ListAuditEvents": of(audit.ListAuditEventsRequest, account_id="nobody"),
    f"{LEDGER}VerifyChain": of(ledger.VerifyChainRequest, shard=1),
    f"{LEDGER}VerifyTransit": of(ledger.VerifyTransitRequest),
    f"{LEDGER}Reconcile": of(ledger.ReconcileRequest, shard=0),
    f"{NOTIFY}CreateSubscription": of(
        notify.CreateSubscriptionRequest,
        url="http://127.0.0.1:9/none",
        event_types=["wallet.closed"],
        **KEYED,
    ),
    f"{NOTIFY}ListSubscriptions": of(notify.ListSubscriptionsRequest, page_size=1),
    f"{NOTIFY}DeleteSubscription": of(
        notify.DeleteSubscriptionRequest, subscription_id=_subscription
    ),
    f"{NOTIFY}ListDeadLetters": of(notify.ListDeadLettersRequest, subscription_id=_subscription),
    f"{NOTIFY}ReplayDeliveries": _replay,
    f"{KEYS}CreateKey": of(
        keys.CreateKeyRequest,
        kind=keys.KEY_KIND_BEARER,
        client_id="front",
        roles=["service"],
        reason="a test",
    ),
    f"{KEYS}ListKeys": of(keys.ListKeysRequest, client_id="nobody"),
    f"{KEYS}ListKeyEvents": of(keys.ListKeyEventsRequest, key_id=_key_id),
    f"{KEYS}RotateKey": of(keys.RotateKeyRequest, key_id=_key_id, reason="a test"),
    f"{KEYS}RevokeKey": of(keys.RevokeKeyRequest, key_id=_key_id, reason="a test"),
    f"{NOTIFY}Watch": of(notify.WatchRequest, event_types=["wallet.closed"]),
}
