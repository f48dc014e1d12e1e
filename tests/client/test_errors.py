"""Every error has its exception: by reason, else by code; the drawn tree is the real one."""

import re

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2

from guilder.client import GuilderError, errors
from guilder.client.statuses import BY_CODE, BY_REASON, from_status
from walletkit.errors import CATALOGUE, ServiceError, invalid_field
from walletkit.rpc.status import to_status


@pytest.mark.parametrize("reason", sorted(CATALOGUE))
def test_every_reason_has_its_class(reason: str) -> None:
    """A reason of the catalogue becomes its own class, below the one of its code."""
    error = from_status(to_status(ServiceError(reason, "no", {"name": "value"})))
    assert type(error) is BY_REASON[reason]
    family = BY_CODE[grpc.StatusCode[CATALOGUE[reason].code.value]]
    assert isinstance(error, family)
    assert (error.reason, error.message, error.metadata) == (reason, "no", {"name": "value"})
    assert error.code.name == CATALOGUE[reason].code.value


def test_no_class_waits_for_a_reason_that_nobody_gives() -> None:
    """What is mapped is in the catalogue."""
    assert BY_REASON.keys() <= CATALOGUE.keys()


@pytest.mark.parametrize("code", list(grpc.StatusCode))
def test_a_reason_of_tomorrow_has_the_class_of_its_code(code: grpc.StatusCode) -> None:
    """An older client meets a newer service: the reason is kept, the class is the code's."""
    status = status_pb2.Status(code=code.value[0], message="new")
    status.details.add().Pack(error_details_pb2.ErrorInfo(reason="REASON_OF_TOMORROW"))
    error = from_status(status)
    assert type(error) is BY_CODE.get(code, GuilderError)
    assert error.reason == "REASON_OF_TOMORROW"


def test_violations_name_field_and_rule() -> None:
    """A malformed field is in ``violations``."""
    error = from_status(to_status(invalid_field("amount", -1, "must be more than 0")))
    assert [item.field for item in error.violations] == ["amount"]
    assert "must be more than 0" in error.violations[0].description


def test_the_drawn_tree_is_the_real_one() -> None:
    """The docstring of the module draws each class below its base class, and no other."""
    drawn: dict[str, str] = {}
    path: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        match = re.match(r"    ((?:[│ ]   |[├└]── )*)(\w+Error)\b", line)
        if match:
            depth = len(match[1]) // 4
            path[depth:] = [match[2]]
            drawn[match[2]] = path[depth - 1] if depth else "Exception"
    real = {
        name: kind.__base__.__name__
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, GuilderError) and kind.__base__
    }
    assert drawn == real
