"""Tell which errors a call can give, by what its comment names and what its request has."""

import re
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType

from google.protobuf.descriptor import MethodDescriptor

from tools.openapi.catalogue import Catalogue
from walletkit.errors import CATALOGUE

HTTP: Mapping[str, int] = MappingProxyType(
    {
        "INVALID_ARGUMENT": 400,
        "FAILED_PRECONDITION": 400,
        "OUT_OF_RANGE": 400,
        "UNAUTHENTICATED": 401,
        "PERMISSION_DENIED": 403,
        "NOT_FOUND": 404,
        "ALREADY_EXISTS": 409,
        "ABORTED": 409,
        "RESOURCE_EXHAUSTED": 429,
        "INTERNAL": 500,
        "UNAVAILABLE": 503,
        "DEADLINE_EXCEEDED": 504,
    }
)
"""How Envoy's transcoder renders each gRPC code."""

_OF_ALL_CALLERS = ("UNAUTHENTICATED", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED")
"""Codes that have to do with who calls, not with what: their reasons are every call's."""

ALWAYS = (
    "INVALID_FIELD",
    "SHUTTING_DOWN",
    "DEADLINE_EXCEEDED",
    "INTERNAL",
    "ISSUER_UNAVAILABLE",
    *(reason for reason, entry in CATALOGUE.items() if entry.code.name in _OF_ALL_CALLERS),
)
"""What every call can end with."""

OF_SERVICE: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "WalletService": ("SHARD_UNAVAILABLE", "OVERLOADED"),
        "LedgerService": ("LEDGER_UNAVAILABLE",),
        "NotifyService": ("NOTIFY_UNAVAILABLE",),
        "KeyService": ("EDGE_UNAVAILABLE",),
    }
)
"""What every call of a service can end with besides."""

_OF_FIELD: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "idempotency_key": ("IDEMPOTENCY_KEY_REUSED", "OUTCOME_UNKNOWN"),
        "expected_version": ("VERSION_MISMATCH",),
        "expected_versions": ("VERSION_MISMATCH",),
        "wallet_id": ("WALLET_NOT_FOUND",),
        "source_wallet_id": ("WALLET_NOT_FOUND",),
        "destination_wallet_id": ("WALLET_NOT_FOUND",),
        "postings": ("WALLET_NOT_FOUND",),
        "hold_id": ("HOLD_NOT_FOUND",),
        "transaction_id": ("TRANSACTION_NOT_FOUND",),
        "subscription_id": ("SUBSCRIPTION_NOT_FOUND",),
        "key_id": ("KEY_NOT_FOUND",),
        "shard": ("SHARD_NOT_FOUND",),
    }
)
_REASON = re.compile(r"\b[A-Z]+(?:_[A-Z]+)+\b")
_SAME = re.compile(r"those of (\w+)(?: and (\w+))?")


def reasons_of(catalogue: Catalogue, method: MethodDescriptor) -> list[str]:
    """Return the reasons that a call can end with, in the order of the catalogue of errors."""
    service = method.containing_service
    found = {*ALWAYS, *OF_SERVICE.get(service.name, ()), *_told(catalogue, method, frozenset())}
    for field in method.input_type.fields:
        found.update(_OF_FIELD.get(field.name, ()))
    found.update(_of_commands(catalogue, method))
    return [reason for reason in CATALOGUE if reason in found]


def _of_commands(catalogue: Catalogue, method: MethodDescriptor) -> Iterator[str]:
    """Return what commands of a batch can end with: an atomic one ends as its first that fails."""
    commands = method.input_type.fields_by_name.get("commands")
    if commands is None or commands.message_type is None:
        return
    kinds = [one.message_type for one in commands.message_type.fields]
    for other in method.containing_service.methods:
        if other.input_type in kinds:
            yield from reasons_of(catalogue, other)


def by_status(reasons: Iterable[str]) -> dict[int, list[str]]:
    """Sort reasons by the HTTP status that tells them."""
    found: dict[int, list[str]] = {}
    for reason in reasons:
        found.setdefault(HTTP[CATALOGUE[reason].code.name], []).append(reason)
    return found


def _told(catalogue: Catalogue, method: MethodDescriptor, seen: frozenset[str]) -> Iterator[str]:
    """Return what a comment names, and what the comments that it refers to name."""
    text = catalogue.comment(method.full_name).replace("\n", " ")
    yield from (word for word in _REASON.findall(text) if word in CATALOGUE)
    for names in _SAME.findall(text):
        for name in set(names) - seen - {""}:
            other = method.containing_service.methods_by_name.get(name)
            if other is not None:
                yield from _told(catalogue, other, seen | {method.name})
