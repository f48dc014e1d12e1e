"""Failed calls, taken apart as any client would: code, reason, metadata, fields. Never text."""

import math
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any

import grpc
import grpc.aio
from google.rpc import code_pb2, error_details_pb2, status_pb2

from guilder.wallet.v1 import wallet_service_pb2 as pb


@dataclass(frozen=True)
class Failure:
    """What a caller can act on."""

    code: str
    reason: str
    metadata: dict[str, str]
    fields: tuple[str, ...] = ()


def invalid(*fields: str) -> Failure:
    """Expect INVALID_ARGUMENT for these fields."""
    return Failure("INVALID_ARGUMENT", "INVALID_FIELD", {"field": fields[0]}, fields)


def declined(reason: str, **metadata: object) -> Failure:
    """Expect FAILED_PRECONDITION."""
    return Failure("FAILED_PRECONDITION", reason, {k: str(v) for k, v in metadata.items()})


def not_found(wallet_id: str) -> Failure:
    """Expect that a wallet is unknown."""
    return Failure("NOT_FOUND", "WALLET_NOT_FOUND", {"wallet_id": wallet_id})


def stale(wallet_id: str, version: int, expected: int) -> Failure:
    """Expect ABORTED: the wallet is at another version."""
    metadata = {
        "wallet_id": wallet_id,
        "version": str(version),
        "expected_version": str(expected),
    }
    return Failure("ABORTED", "VERSION_MISMATCH", metadata)


def missing(reason: str, **metadata: str) -> Failure:
    """Expect NOT_FOUND."""
    return Failure("NOT_FOUND", reason, metadata)


KEY_REUSED = Failure("ALREADY_EXISTS", "IDEMPOTENCY_KEY_REUSED", {})


async def failure_of(call: Awaitable[Any]) -> Failure:
    """Await a call that must fail, and take its status apart."""
    try:
        reply = await call
    except grpc.aio.AioRpcError as error:
        return of_error(error)
    message = f"the call succeeded: {reply}"
    raise AssertionError(message)


def of_error(error: grpc.aio.AioRpcError) -> Failure:
    """Take an error apart; code and message are the same in both places where gRPC has them."""
    trailers = dict(error.trailing_metadata() or ())
    assert "grpc-status-details-bin" in trailers, error
    raw = trailers["grpc-status-details-bin"]
    status = status_pb2.Status.FromString(raw if isinstance(raw, bytes) else raw.encode())
    assert code_pb2.Code.Name(status.code) == error.code().name
    assert status.message == error.details()
    return of_status(status)


def of_result(result: pb.TransferResult | pb.BatchResult) -> Failure:
    """Take apart what a batch says of one command that failed."""
    assert result.WhichOneof("result") == "error", result
    return of_status(result.error)


def of_status(status: status_pb2.Status) -> Failure:
    """Take a status apart; each violated field has a rule beside it."""
    info, bad_request = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    assert status.details[0].Unpack(info)
    assert info.domain == "guilder"
    assert len(status.message) < math.inf
    for detail in status.details[1:]:
        assert detail.Unpack(bad_request)
    assert all(v.description for v in bad_request.field_violations)
    return Failure(
        code_pb2.Code.Name(status.code),
        info.reason,
        dict(info.metadata),
        tuple(v.field for v in bad_request.field_violations),
    )
