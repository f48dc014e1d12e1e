"""Errors: every reason of the catalogue has a code, and becomes one status with all its parts."""

import grpc
import grpc.aio
import pytest
from google.rpc import code_pb2, error_details_pb2

from walletkit.errors import CATALOGUE, DOMAIN, Code, ServiceError, invalid_field, invalid_fields
from walletkit.rpc.status import DETAILS_KEY as KEY
from walletkit.rpc.status import GRPC_CODES, to_status, violations_of


@pytest.mark.parametrize("reason", sorted(CATALOGUE))
def test_reason_becomes_a_status(reason: str) -> None:
    """The status carries the reason's code, and an ErrorInfo with reason, domain and metadata."""
    error = ServiceError(reason, "why", {"wallet_id": "x"})
    status = to_status(error)
    assert code_pb2.Code.Name(status.code) == CATALOGUE[reason].code == error.code
    assert status.message == "why"
    (detail,) = status.details
    info = error_details_pb2.ErrorInfo()
    assert detail.Unpack(info)
    assert (info.reason, info.domain) == (reason, DOMAIN)
    assert dict(info.metadata) == {"wallet_id": "x"}


@pytest.mark.parametrize("reason", sorted(CATALOGUE))
def test_catalogue_is_for_people(reason: str) -> None:
    """A reason is UPPER_SNAKE; its meaning is a sentence."""
    assert reason.replace("_", "").isalpha()
    assert reason.isupper()
    assert CATALOGUE[reason].meaning.endswith(".")


def test_codes_are_grpc_codes() -> None:
    """Every code in use exists in gRPC under the same name."""
    assert {code: grpc.StatusCode[code.name] for code in Code} == GRPC_CODES


def test_unknown_reason_is_a_programmers_mistake() -> None:
    """An error outside the catalogue can't be made."""
    with pytest.raises(KeyError):
        ServiceError("NO_SUCH_REASON", "x")


def test_invalid_field_names_field_and_rule() -> None:
    """A malformed field is INVALID_ARGUMENT with a BadRequest that names it; the value is cut."""
    status = to_status(invalid_field("reference", "x" * 1000, "must be short"))
    assert code_pb2.Code.Name(status.code) == "INVALID_ARGUMENT"
    bad_request = error_details_pb2.BadRequest()
    assert status.details[1].Unpack(bad_request)
    (violation,) = bad_request.field_violations
    assert violation.field == "reference"
    assert "must be short" in violation.description
    assert len(violation.description) < 128


def test_violations_pass_from_service_to_service() -> None:
    """A service that asks another one names to its caller the fields that the other refused."""
    refusal = invalid_field("page_size", -1, "must be positive")
    for details, violations in (
        (to_status(refusal).SerializeToString(), refusal.violations),
        (to_status(ServiceError("INTERNAL", "x")).SerializeToString(), ()),
        (None, ()),
    ):
        trailers = grpc.aio.Metadata() if details is None else grpc.aio.Metadata((KEY, details))
        error = grpc.aio.AioRpcError(
            grpc.StatusCode.INVALID_ARGUMENT, grpc.aio.Metadata(), trailers, "x"
        )
        assert violations_of(error) == violations


def test_several_invalid_fields_are_one_error() -> None:
    """Each field has its entry; the metadata names the first."""
    faults = [invalid_field(name, 0, "must not be 0") for name in ("a", "b", "c", "d")]
    error = invalid_fields(faults)
    assert [violation.field for violation in error.violations] == ["a", "b", "c", "d"]
    assert error.metadata == {"field": "a"}
    assert error.code == Code.INVALID_ARGUMENT
