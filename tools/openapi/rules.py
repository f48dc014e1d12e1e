"""What the services accept in each field: the one table of the contract, by field.

Tests hold it beside the services' own constants. A field is named by its message and name; ``*``
stands for any message or field, and the first line that fits counts. ``guilder.`` is left out.
"""

import fnmatch
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

Schema = dict[str, Any]

MAX_AMOUNT_MINOR = 10**15
MAX_KEY_LENGTH = 128
MAX_NAME_LENGTH = 64
MAX_REFERENCE_BYTES = 64
MAX_REASON_BYTES = 256
MAX_ACTOR_BYTES = 128
MAX_METADATA_BYTES = 4_096
MAX_PAGE_SIZE = 1_000
DEFAULT_PAGE_SIZE = 50
MAX_BATCH = 1_000
MAX_POSTINGS = 100
MAX_EXPECTED_VERSIONS = 200
MAX_VELOCITY_LIMITS = 9
MAX_COUNT = 10**9
MAX_PERCENT = 100
MAX_EXPONENT = 8
MAX_URL_LENGTH = 2_048
MAX_WALLETS = 1_000
EVENT_TYPES = (
    "hold.authorized",
    "hold.captured",
    "hold.expired",
    "hold.extended",
    "hold.incremented",
    "hold.voided",
    "transaction.posted",
    "transaction.returned",
    "wallet.closed",
    "wallet.created",
    "wallet.frozen",
    "wallet.unfrozen",
    "wallet.updated",
)

_UUID = "(?!00)[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
_NAME = f"[A-Za-z0-9._-]{{1,{MAX_NAME_LENGTH}}}"
_ALIAS = f"alias:{_NAME}/{_NAME}"
_SYSTEM = "sys:(0|[1-9][0-9]{0,4}):(world|fees|exchange|transit|suspense):[A-Z][A-Z0-9]{2,11}"
_SIDE = "sys:(world|fees|exchange)"
_VERSION = "[1-9][0-9]{0,18}"
_ZERO_TO_AMOUNT = "(0|[1-9][0-9]{0,14}|10{15})"
_ONE_TO_AMOUNT = "([1-9][0-9]{0,14}|10{15})"
_ZERO_TO_COUNT = "(0|[1-9][0-9]{0,8}|10{9})"

WALLET_EXAMPLE = "019ac0de-7d2a-7a41-9b1f-3c5d8e2f6a70"


def _text(pattern: str, example: str, **more: object) -> Schema:
    return {"pattern": f"^{pattern}$", "example": example, **more}


ID = _text(_UUID, WALLET_EXAMPLE)
WALLET = _text(f"({_UUID}|{_ALIAS})", WALLET_EXAMPLE)
BOOKED_WALLET = _text(f"({_UUID}|{_SYSTEM})", WALLET_EXAMPLE)
SIDE = _text(f"({_UUID}|{_ALIAS}|{_SIDE})", WALLET_EXAMPLE)
ACCOUNT = _text(_NAME, "alice")
CURRENCY = _text("[A-Z][A-Z0-9]{2,11}", "EUR")
KEY = _text(f"[ -~]{{1,{MAX_KEY_LENGTH}}}", "rent-2026-07")
VERSION = _text(_VERSION, "7")

RULES: Mapping[str, Schema] = MappingProxyType(
    {
        # Of every call.
        "*Request.idempotency_key": KEY,
        "*Request.expected_version": VERSION,
        "*Request.page_size": {
            "minimum": 0,
            "maximum": MAX_PAGE_SIZE,
            "example": DEFAULT_PAGE_SIZE,
        },
        "*Request.metadata": {
            "additionalProperties": {"type": "string", "maxLength": MAX_METADATA_BYTES},
            "example": {"order": "4711"},
        },
        "*Request.description": {"maxLength": MAX_METADATA_BYTES, "example": "July"},
        "*Request.reference": {"maxLength": MAX_REFERENCE_BYTES, "example": "invoice-7"},
        # Ids.
        "wallet.v1.Posting.*_wallet_id": SIDE,
        "wallet.v1.*Request.*wallet_id": WALLET,
        "ledger.v1.*Request.wallet_id": BOOKED_WALLET,
        "*Request.hold_id": ID,
        "*Request.transaction_id": ID,
        "*Request.subscription_id": ID,
        "wallet.v1.GetTransactionFamilyRequest.id": ID,
        "notify.v1.*Request.wallet_ids": {"maxItems": MAX_WALLETS, "items": ID},
        "*Request.account_id": ACCOUNT,
        "wallet.v1.CreateWalletRequest.alias": _text(f"({_NAME})?", "main"),
        # Money.
        "*Request.currency_code": CURRENCY,
        "type.v1.Money.currency_code": CURRENCY,
        "type.v1.Money.amount_minor": _text(_ONE_TO_AMOUNT, "1250"),
        "wallet.v1.*Limits.*_minor": _text(_ZERO_TO_AMOUNT, "100000"),
        "wallet.v1.VelocityLimit.max_amount_minor": _text(_ZERO_TO_AMOUNT, "50000"),
        "wallet.v1.VelocityLimit.max_count": _text(_ZERO_TO_COUNT, "10"),
        "wallet.v1.WalletLimits.over_capture_percent": {"maximum": MAX_PERCENT},
        "wallet.v1.*Limits.velocity": {"maxItems": MAX_VELOCITY_LIMITS},
        "wallet.v1.RegisterAssetRequest.exponent": {"maximum": MAX_EXPONENT, "example": 8},
        "wallet.v1.ReverseTransactionRequest.reason": {"maxLength": MAX_REASON_BYTES},
        "wallet.v1.ReverseTransactionRequest.actor": {"maxLength": MAX_ACTOR_BYTES},
        # What comes in numbers.
        "wallet.v1.BatchTransferRequest.transfers": {"minItems": 1, "maxItems": MAX_BATCH},
        "wallet.v1.BatchExecuteRequest.commands": {"minItems": 1, "maxItems": MAX_BATCH},
        "wallet.v1.PostTransactionRequest.postings": {"minItems": 1, "maxItems": MAX_POSTINGS},
        "wallet.v1.PostTransactionRequest.expected_versions": {
            "maxProperties": MAX_EXPECTED_VERSIONS,
            "additionalProperties": {"type": "string", "format": "uint64", **VERSION},
            "example": {WALLET_EXAMPLE: "7"},
        },
        "notify.v1.CreateSubscriptionRequest.url": {
            "maxLength": MAX_URL_LENGTH,
            "pattern": "^https?://[!-\\[\\]-~]+$",
            "example": "https://example.com/hook",
        },
        "notify.v1.*Request.event_types": {"items": {"enum": list(EVENT_TYPES)}},
    }
)

REQUIRED: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "wallet.v1.CreateWalletRequest": ("account_id", "currency_code"),
        "wallet.v1.ListWalletsRequest": ("account_id",),
        "wallet.v1.DepositRequest": ("wallet_id", "amount"),
        "wallet.v1.WithdrawRequest": ("wallet_id", "amount"),
        "wallet.v1.TransferRequest": ("source_wallet_id", "destination_wallet_id", "amount"),
        "wallet.v1.BatchTransferRequest": ("transfers",),
        "wallet.v1.BatchExecuteRequest": ("commands",),
        "wallet.v1.Posting": ("source_wallet_id", "destination_wallet_id", "amount"),
        "wallet.v1.PostTransactionRequest": ("postings",),
        "wallet.v1.ReverseTransactionRequest": ("transaction_id",),
        "wallet.v1.AuthorizeRequest": ("wallet_id", "amount"),
        "wallet.v1.IncrementHoldRequest": ("hold_id", "amount"),
        "wallet.v1.ExtendHoldRequest": ("hold_id", "expire_time"),
        "wallet.v1.CaptureHoldRequest": ("hold_id",),
        "wallet.v1.VoidHoldRequest": ("hold_id",),
        "wallet.v1.UpdateWalletRequest": ("wallet_id",),
        "wallet.v1.FreezeWalletRequest": ("wallet_id",),
        "wallet.v1.UnfreezeWalletRequest": ("wallet_id",),
        "wallet.v1.CloseWalletRequest": ("wallet_id",),
        "wallet.v1.SetWalletLimitsRequest": ("wallet_id",),
        "wallet.v1.FreezeAccountRequest": ("account_id",),
        "wallet.v1.UnfreezeAccountRequest": ("account_id",),
        "wallet.v1.SetAccountLimitsRequest": ("account_id", "currency_code"),
        "wallet.v1.GetAccountLimitsRequest": ("account_id", "currency_code"),
        "wallet.v1.RegisterAssetRequest": ("currency_code",),
        "wallet.v1.VelocityLimit": ("window", "basis"),
        "notify.v1.CreateSubscriptionRequest": ("url",),
        "type.v1.Money": ("currency_code", "amount_minor"),
    }
)
"""Fields without which a request is refused. Keys are not among them: a header may carry them."""


def short(full_name: str) -> str:
    """Return the name by which the table and the document know something of ours."""
    return full_name.removeprefix("guilder.")


def rule_of(field: str) -> Schema:
    """Return what the table says about a field, by its full name; nothing where it says nothing."""
    name = short(field)
    return next((rule for key, rule in RULES.items() if fnmatch.fnmatchcase(name, key)), {})
