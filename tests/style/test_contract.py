"""The wallets' calls are alike: what one change takes and tells, every change does.

Over REST each call of every service has a path of its own.
"""

import re
from collections.abc import Iterator

import pytest
from google.api import annotations_pb2, http_pb2
from google.protobuf.descriptor import Descriptor, MethodDescriptor

from guilder.edge.v1 import key_service_pb2 as edge
from guilder.ledger.v1 import ledger_service_pb2 as ledger
from guilder.notify.v1 import notify_service_pb2 as notify
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


def routes(method: MethodDescriptor) -> Iterator[tuple[str, str]]:
    """Return a call's REST verbs and paths; what it binds is a star."""
    rule = method.GetOptions().Extensions[annotations_pb2.http]
    for one in (rule, *rule.additional_bindings):
        verb = one.WhichOneof("pattern")
        if verb is not None:
            yield verb, re.sub(r"\{\w+\}", "*", getattr(one, verb))


def test_paths_do_not_meet() -> None:
    """No two calls answer the same verb and path."""
    services = [
        service
        for module in (pb, ledger, notify, edge)
        for service in module.DESCRIPTOR.services_by_name.values()
    ]
    taken = [route for service in services for one in service.methods for route in routes(one)]
    assert len(taken) > len(METHODS)
    assert len(taken) == len(set(taken))


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_paths_bind_fields_of_the_request(method: MethodDescriptor) -> None:
    """What a path binds is a field; a call that changes something is no GET."""
    rule: http_pb2.HttpRule = method.GetOptions().Extensions[annotations_pb2.http]
    for one in (rule, *rule.additional_bindings):
        verb = one.WhichOneof("pattern")
        if verb is not None:
            bound = set(re.findall(r"\{(\w+)\}", getattr(one, verb)))
            assert bound <= set(method.input_type.fields_by_name)
            assert (verb == "get") == (method not in CHANGES)
