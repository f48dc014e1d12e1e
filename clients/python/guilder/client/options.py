"""The optional fields of changes, by the names of the protos. Client room, pure.

They are keyword arguments of the methods and of the functions that make requests; what is left out
is left out of the request, but for the key.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import TypedDict
from uuid import uuid4

from google.protobuf.timestamp_pb2 import Timestamp

from guilder.client.times import to_timestamp


class ChangeOptions(TypedDict, total=False):
    """What every change takes beside its subject."""

    idempotency_key: str
    """1 to 128 printable ASCII characters; a fresh UUID where it is left out."""


class DryRunOptions(ChangeOptions, total=False):
    """What a change takes that can be asked what it would do."""

    validate_only: bool
    """Say what would happen, or raise what would refuse it, and change nothing."""


class WalletOptions(DryRunOptions, total=False):
    """What a change of one wallet takes."""

    expected_version: int
    """The changed (debited) wallet's version before, else ``VersionMismatchError``."""


class TextOptions(TypedDict, total=False):
    """What the caller says about a movement of money."""

    reference: str
    """The caller's reference, at most 64 bytes; transactions can be listed by it."""
    description: str
    metadata: Mapping[str, str]
    """With the description at most 4 KiB; transactions can be listed by a pair of it."""


class HoldOptions(WalletOptions, TextOptions, total=False):
    """What an authorization takes beside wallet and amount."""


class MoneyOptions(HoldOptions, total=False):
    """What a movement of money takes beside wallets and amount."""

    effective_time: datetime
    """When it counts, if not when it is recorded: aware, at most 366 days ahead."""


class PostingOptions(DryRunOptions, TextOptions, total=False):
    """What several postings take beside themselves."""

    expected_versions: Mapping[str, int]
    """Versions before the change, by wallet id, of wallets on the shard that is debited."""
    effective_time: datetime
    """When it counts, if not when it is recorded: aware, at most 366 days ahead."""


class DryRunFields(TypedDict):
    """The fields of a request that ``DryRunOptions`` become."""

    idempotency_key: str
    validate_only: bool


class WalletFields(DryRunFields):
    """The fields of a request that ``WalletOptions`` become."""

    expected_version: int | None


class HoldFields(WalletFields):
    """The fields of a request that ``HoldOptions`` become."""

    reference: str
    description: str
    metadata: Mapping[str, str]


class MoneyFields(HoldFields):
    """The fields of a request that ``MoneyOptions`` become."""

    effective_time: Timestamp | None


class PostingFields(DryRunFields):
    """The fields of a request that ``PostingOptions`` become."""

    reference: str
    description: str
    metadata: Mapping[str, str]
    expected_versions: Mapping[str, int]
    effective_time: Timestamp | None


def key_of(options: ChangeOptions) -> str:
    """Return the caller's idempotency key, or a fresh one; an empty one the service refuses."""
    return options["idempotency_key"] if "idempotency_key" in options else str(uuid4())


def dry_run_fields(options: DryRunOptions) -> DryRunFields:
    """Fill in what the caller left out."""
    return {
        "idempotency_key": key_of(options),
        "validate_only": options.get("validate_only", False),
    }


def wallet_fields(options: WalletOptions) -> WalletFields:
    """Fill in what the caller left out."""
    return {
        **dry_run_fields(options),
        "expected_version": options.get("expected_version"),
    }


def hold_fields(options: HoldOptions) -> HoldFields:
    """Fill in what the caller left out."""
    return {
        **wallet_fields(options),
        "reference": options.get("reference", ""),
        "description": options.get("description", ""),
        "metadata": options.get("metadata", {}),
    }


def money_fields(options: MoneyOptions) -> MoneyFields:
    """Fill in what the caller left out."""
    return {
        **hold_fields(options),
        "effective_time": to_timestamp(options.get("effective_time")),
    }


def posting_fields(options: PostingOptions) -> PostingFields:
    """Fill in what the caller left out."""
    return {
        **dry_run_fields(options),
        "reference": options.get("reference", ""),
        "description": options.get("description", ""),
        "metadata": options.get("metadata", {}),
        "expected_versions": options.get("expected_versions", {}),
        "effective_time": to_timestamp(options.get("effective_time")),
    }
