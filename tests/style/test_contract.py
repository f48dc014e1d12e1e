"""The wallets' calls are alike: what one change takes and tells, every change does."""

from collections.abc import Iterator

import pytest
from google.protobuf.descriptor import Descriptor, MethodDescriptor

from guilder.wallet.v1 import wallet_service_pb2 as pb

SERVICE = pb.DESCRIPTOR.services_by_name["WalletService"]
METHODS = list(SERVICE.methods)
CHANGES = [one for one in METHODS if not one.name.startswith(("Get", "List"))]
BATCHES = {"BatchTransfer", "BatchExecute", "StreamTransfers"}
"""Their replies are made of others' replies."""


def fields_below(message: Descriptor, seen: frozenset[str] = frozenset()) -> Iterator[str]:
    """Name the fields of a message, and of all that is in it."""
    for field in message.fields:
        yield field.name
        inner = field.message_type
        if inner is not None and inner.full_name not in seen:
            yield from fields_below(inner, seen | {inner.full_name})


@pytest.mark.parametrize("method", CHANGES, ids=lambda method: method.name)
def test_change_takes_key_and_can_be_tried(method: MethodDescriptor) -> None:
    """The request has an idempotency key and `validate_only`, itself or in what it is made of."""
    assert {"idempotency_key", "validate_only"} <= set(fields_below(method.input_type))


@pytest.mark.parametrize("method", CHANGES, ids=lambda method: method.name)
def test_change_tells_replay_and_position(method: MethodDescriptor) -> None:
    """The reply says whether it is a replay, and where to wait for it."""
    own = set(method.output_type.fields_by_name)
    told = set(fields_below(method.output_type)) if method.name in BATCHES else own
    assert {"replayed", "position"} <= told


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_amounts_come_with_their_exponent(method: MethodDescriptor) -> None:
    """A reply with minor units says how many of them make a major one."""
    below = set(fields_below(method.output_type))
    assert "exponent" in below or not any(name.endswith("_minor") for name in below)
