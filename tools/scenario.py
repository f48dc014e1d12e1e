"""The calls that docs/api.md shows, in an order in which each of them works on an empty suite.

A text such as `$alice` stands for an id of an earlier reply. Of calls that are made twice the first
one is shown. `$soon` is a day a month ahead.
"""

from typing import Any

Call = tuple[str, dict[str, Any], dict[str, str]]
"""A call, its request, and what to learn from its reply: variables by their places."""

EUR = {"currencyCode": "EUR", "amountMinor": "1250"}
STREAMED = {
    "LedgerService.GetStatement": 3,
    "NotifyService.Watch": 2,
    "WalletService.StreamTransfers": 1,
}
"""Streams, and how many of their messages are shown."""


def _eur(minor: int) -> dict[str, str]:
    return {"currencyCode": "EUR", "amountMinor": str(minor)}


_W, _L, _N = "WalletService.", "LedgerService.", "NotifyService."

SCENARIO: tuple[Call, ...] = (
    (
        f"{_N}CreateSubscription",
        {
            "url": "https://example.com/hook",
            "eventTypes": ["transaction.posted"],
            "idempotencyKey": "hook-1",
        },
        {"$hook": "subscription.subscriptionId"},
    ),
    (
        f"{_W}CreateWallet",
        {
            "accountId": "alice",
            "currencyCode": "EUR",
            "alias": "main",
            "metadata": {"tier": "gold"},
            "idempotencyKey": "alice-1",
        },
        {"$alice": "wallet.walletId"},
    ),
    (
        f"{_W}CreateWallet",
        {"accountId": "shop", "currencyCode": "EUR", "idempotencyKey": "shop-1"},
        {"$shop": "wallet.walletId"},
    ),
    (f"{_W}GetWallet", {"walletId": "$alice"}, {}),
    (
        f"{_W}UpdateWallet",
        {
            "walletId": "$alice",
            "metadata": {"tier": "platinum"},
            "expectedVersion": "1",
            "idempotencyKey": "tier-2",
        },
        {},
    ),
    (f"{_W}ListWallets", {"accountId": "alice", "pageSize": 50}, {}),
    (
        f"{_W}Deposit",
        {
            "walletId": "$alice",
            "amount": _eur(100_000),
            "reference": "payout-7",
            "idempotencyKey": "in-1",
        },
        {},
    ),
    (f"{_W}GetBalance", {"walletId": "$alice"}, {}),
    (
        f"{_W}Withdraw",
        {"walletId": "$alice", "amount": _eur(2_000), "idempotencyKey": "out-1"},
        {},
    ),
    (
        f"{_W}Transfer",
        {
            "sourceWalletId": "$alice",
            "destinationWalletId": "$shop",
            "amount": EUR,
            "reference": "rent-7",
            "idempotencyKey": "rent-7",
        },
        {"$rent": "transaction.transactionId"},
    ),
    (
        f"{_W}BatchTransfer",
        {
            "transfers": [
                {
                    "sourceWalletId": "$alice",
                    "destinationWalletId": "$shop",
                    "amount": _eur(300),
                    "idempotencyKey": "tea-1",
                },
                {
                    "sourceWalletId": "$alice",
                    "destinationWalletId": "$shop",
                    "amount": _eur(900_000),
                    "idempotencyKey": "tea-2",
                },
            ]
        },
        {},
    ),
    (
        f"{_W}StreamTransfers",
        {
            "batchId": "1",
            "transfers": [
                {
                    "sourceWalletId": "$alice",
                    "destinationWalletId": "$shop",
                    "amount": _eur(200),
                    "idempotencyKey": "tea-3",
                }
            ],
        },
        {},
    ),
    (
        f"{_W}BatchExecute",
        {
            "atomic": True,
            "idempotencyKey": "checkout-9",
            "commands": [
                {"deposit": {"walletId": "$alice", "amount": _eur(500)}},
                {"authorize": {"walletId": "$alice", "amount": _eur(700)}},
            ],
        },
        {},
    ),
    (
        f"{_W}PostTransaction",
        {
            "postings": [
                {
                    "sourceWalletId": "$alice",
                    "destinationWalletId": "$shop",
                    "amount": _eur(970),
                },
                {
                    "sourceWalletId": "$alice",
                    "destinationWalletId": "sys:fees",
                    "amount": _eur(30),
                },
            ],
            "idempotencyKey": "split-1",
        },
        {},
    ),
    (
        f"{_W}Authorize",
        {
            "walletId": "$alice",
            "destinationWalletId": "$shop",
            "amount": _eur(4_000),
            "idempotencyKey": "hold-1",
        },
        {"$hold": "hold.holdId"},
    ),
    (
        f"{_W}IncrementHold",
        {"holdId": "$hold", "amount": _eur(500), "idempotencyKey": "hold-1-more"},
        {},
    ),
    (f"{_W}GetHold", {"holdId": "$hold"}, {}),
    (
        f"{_W}CaptureHold",
        {"holdId": "$hold", "amount": _eur(3_500), "idempotencyKey": "hold-1-part"},
        {"$capture": "transaction.transactionId"},
    ),
    (f"{_W}ListHolds", {"walletId": "$alice", "state": "HOLD_STATE_AUTHORIZED"}, {}),
    (
        f"{_W}ExtendHold",
        {"holdId": "$hold", "expireTime": "$soon", "idempotencyKey": "hold-1-longer"},
        {},
    ),
    (f"{_W}VoidHold", {"holdId": "$hold", "idempotencyKey": "hold-1-void"}, {}),
    (f"{_W}GetTransaction", {"transactionId": "$rent"}, {}),
    (
        f"{_W}ReverseTransaction",
        {
            "transactionId": "$capture",
            "amount": _eur(1_000),
            "reason": "one item came back",
            "actor": "desk-4",
            "idempotencyKey": "refund-1",
        },
        {},
    ),
    (f"{_W}GetTransactionFamily", {"id": "$hold"}, {}),
    (
        f"{_W}ListTransactions",
        {"walletId": "$alice", "pageSize": 2, "types": ["TRANSACTION_TYPE_TRANSFER"]},
        {},
    ),
    (
        f"{_W}SetWalletLimits",
        {
            "walletId": "$alice",
            "limits": {
                "overdraftLimitMinor": "10000",
                "maxTransactionMinor": "500000",
                "velocity": [
                    {
                        "window": "VELOCITY_WINDOW_DAY",
                        "basis": "VELOCITY_BASIS_DEBITS",
                        "maxAmountMinor": "1000000",
                    }
                ],
            },
            "idempotencyKey": "limits-1",
        },
        {},
    ),
    (f"{_W}GetWalletLimits", {"walletId": "$alice"}, {}),
    (
        f"{_W}SetAccountLimits",
        {
            "accountId": "alice",
            "currencyCode": "EUR",
            "limits": {"maxTransactionMinor": "2000000"},
            "idempotencyKey": "limits-2",
        },
        {},
    ),
    (f"{_W}GetAccountLimits", {"accountId": "alice", "currencyCode": "EUR"}, {}),
    (
        f"{_W}RegisterAsset",
        {"currencyCode": "POINTS", "exponent": 0, "idempotencyKey": "points-1"},
        {},
    ),
    (f"{_W}ListAssets", {}, {}),
    (
        f"{_W}FreezeWallet",
        {"walletId": "$shop", "scope": "FREEZE_SCOPE_DEBITS", "idempotencyKey": "freeze-1"},
        {},
    ),
    (f"{_W}UnfreezeWallet", {"walletId": "$shop", "idempotencyKey": "thaw-1"}, {}),
    (
        f"{_W}FreezeAccount",
        {"accountId": "alice", "scope": "FREEZE_SCOPE_ALL", "idempotencyKey": "freeze-2"},
        {},
    ),
    (f"{_W}UnfreezeAccount", {"accountId": "alice", "idempotencyKey": "thaw-2"}, {}),
    (
        f"{_W}CreateWallet",
        {"accountId": "bob", "currencyCode": "JPY", "idempotencyKey": "bob-1"},
        {"$bob": "wallet.walletId"},
    ),
    (f"{_W}CloseWallet", {"walletId": "$bob", "idempotencyKey": "bob-end"}, {}),
    (f"{_L}ListEntries", {"walletId": "$alice", "pageSize": 2}, {}),
    (f"{_L}GetStatement", {"walletId": "$alice", "startTime": "2026-01-01T00:00:00Z"}, {}),
    (f"{_L}GetBalance", {"walletId": "sys:0:world:EUR"}, {}),
    (f"{_L}GetTrialBalance", {"shard": 0}, {}),
    (f"{_L}GetChartOfAccounts", {}, {}),
    (f"{_L}ListAuditEvents", {"accountId": "alice", "pageSize": 2}, {}),
    (f"{_L}VerifyChain", {"shard": 0}, {}),
    (f"{_L}VerifyTransit", {}, {}),
    (f"{_L}Reconcile", {"shard": 0}, {}),
    (f"{_N}Watch", {"cursor": "0", "eventTypes": ["transaction.posted"]}, {}),
    (f"{_N}ListSubscriptions", {"pageSize": 50}, {}),
    (f"{_N}ListDeadLetters", {"subscriptionId": "$hook"}, {}),
    (
        f"{_N}ReplayDeliveries",
        {"subscriptionId": "$hook", "startTime": "2026-01-01T00:00:00Z"},
        {},
    ),
    (f"{_N}DeleteSubscription", {"subscriptionId": "$hook"}, {}),
)
