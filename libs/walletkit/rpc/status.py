"""Turn a ServiceError into ``google.rpc.Status`` and back to gRPC's trailers."""

import grpc
import grpc.aio
from google.protobuf import any_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2

from walletkit.errors import DOMAIN, Code, FieldViolation, ServiceError

DETAILS_KEY = "grpc-status-details-bin"
"""The trailer by which gRPC carries a whole ``google.rpc.Status``."""

GRPC_CODES = {code: grpc.StatusCode[code.name] for code in Code}
_RPC_CODES = {code: code_pb2.Code.Value(code.name) for code in Code}


def to_status(error: ServiceError) -> status_pb2.Status:
    """Render an error with its ErrorInfo, and BadRequest where fields are malformed."""
    status = status_pb2.Status(code=_RPC_CODES[error.code], message=error.message)
    _pack(
        status.details.add(),
        error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=error.metadata),
    )
    if error.violations:
        violations = [
            error_details_pb2.BadRequest.FieldViolation(field=v.field, description=v.description)
            for v in error.violations
        ]
        _pack(
            status.details.add(),
            error_details_pb2.BadRequest(field_violations=violations),
        )
    return status


def violations_of(error: grpc.aio.AioRpcError) -> tuple[FieldViolation, ...]:
    """Return the fields that another service of ours found malformed."""
    trailers = dict(error.trailing_metadata() or ())
    raw = trailers.get(DETAILS_KEY)
    if not isinstance(raw, bytes):
        return ()
    found = error_details_pb2.BadRequest()
    for detail in status_pb2.Status.FromString(raw).details:
        detail.Unpack(found)
    return tuple(FieldViolation(v.field, v.description) for v in found.field_violations)


def _pack(
    slot: any_pb2.Any,
    detail: error_details_pb2.ErrorInfo | error_details_pb2.BadRequest,
) -> None:
    slot.Pack(detail)
