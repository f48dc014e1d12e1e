"""gen/openapi.json describes every public call as Envoy's transcoder takes and answers it."""

import re
from collections import Counter

import pytest
from google.protobuf import json_format
from google.protobuf.descriptor import MethodDescriptor
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openapi_spec_validator import validate

from tests.contract.documented import (
    ROOT,
    catalogue,
    document,
    faults,
    methods,
    nodes,
    operations,
)
from tests.contract.filled import messages
from tools.openapi.catalogue import bindings, camel
from tools.openapi.document import render
from tools.openapi.operations import ALWAYS_ANSWERED
from walletkit.errors import CATALOGUE


def named(method: MethodDescriptor) -> str:
    """Name a call as the document does."""
    return f"{method.containing_service.name}_{method.name}"


def test_document_is_well_formed() -> None:
    """It is OpenAPI."""
    validate(document())


def test_document_is_of_these_contracts() -> None:
    """It is what the descriptor set beside it gives: `make gen` was run."""
    image = (ROOT / "gen/guilder.binpb").read_bytes()
    assert render(image, ROOT) == (ROOT / "gen/openapi.json").read_text(encoding="utf-8")


def test_every_binding_is_there_once() -> None:
    """Each verb and path of each annotated call is one operation, and nothing else is there."""
    wanted = {
        (re.sub(r"\{(\w+)\}", lambda name: f"{{{camel(name[1])}}}", one.path), one.verb)
        for method in methods()
        for one in bindings(method)
    }
    assert {(path, verb) for path, verb, _ in operations()} == wanted
    names = Counter(operation["operationId"] for _, _, operation in operations())
    assert max(names.values()) == 1
    assert {re.sub(r"_\d+$", "", name) for name in names} == set(map(named, methods()))


def test_what_is_internal_is_not_there() -> None:
    """Calls without a path for the public are not told of."""
    text = str([operation["operationId"] for _, _, operation in operations()])
    assert "Ingest" not in text
    assert "Audit_" not in text


def test_references_lead_somewhere() -> None:
    """Every reference names a part of the document, and every schema of it is referred to."""
    used = {node["$ref"] for node in nodes(document()) if isinstance(node.get("$ref"), str)}
    parts = {
        f"#/components/{kind}/{name}"
        for kind in ("schemas", "responses", "parameters")
        for name in document()["components"][kind]
    }
    assert used == parts


@pytest.mark.parametrize(
    "operation", [one for *_, one in operations()], ids=lambda o: o["operationId"]
)
def test_operation_is_told_whole(operation: dict[str, object]) -> None:
    """It has a sentence, every answer that any call can give, and each parameter is explained."""
    assert operation["summary"]
    answers = operation["responses"]
    assert isinstance(answers, dict)
    assert {"200", *map(str, ALWAYS_ANSWERED)} <= set(answers)
    parameters = operation.get("parameters", [])
    assert isinstance(parameters, list)
    assert all("$ref" in one or one["description"] for one in parameters)
    told = [one.get("name", one.get("$ref")) for one in parameters]
    assert len(told) == len(set(told))


@pytest.mark.parametrize("method", methods(), ids=named)
def test_changes_take_the_header(method: MethodDescriptor) -> None:
    """A call whose request has a key takes it as a header; no other does."""
    keyed = "idempotency_key" in method.input_type.fields_by_name
    for *_, operation in operations():
        if operation["operationId"] == named(method):
            references = [one.get("$ref") for one in operation.get("parameters", [])]
            assert ("#/components/parameters/IdempotencyKey" in references) == keyed


def test_every_reason_is_told() -> None:
    """Each reason of the catalogue that is not the relay's is told of by some call."""
    text = str(document())
    relay = {
        "RECORD_GAP",
        "CHAIN_BROKEN",
        "RECORD_CONFLICT",
        "RECORD_VERSION_UNKNOWN",
        "JOURNAL_MISMATCH",
        "RECORD_DAY_UNKNOWN",
    }
    assert not [reason for reason in CATALOGUE if f"`{reason}`" not in text and reason not in relay]


def test_elements_are_explained() -> None:
    """Comments of the protos are descriptions: each schema and property of ours has one."""
    schemas = document()["components"]["schemas"]
    ours = {name: one for name, one in schemas.items() if not name.startswith("google.")}
    silent = [name for name, one in ours.items() if not one.get("description")]
    for name, one in ours.items():
        for field, inner in one.get("properties", {}).items():
            if not inner.get("description"):
                silent.append(f"{name}.{field}")
    assert not silent


def bodies(method: MethodDescriptor) -> list[dict[str, object]]:
    """Return the schemas of a call's bodies."""
    return [
        operation["requestBody"]["content"]["application/json"]["schema"]
        for *_, operation in operations()
        if operation["operationId"] == named(method) and "requestBody" in operation
    ]


@pytest.mark.parametrize("defaults", [False, True])
@pytest.mark.parametrize("method", methods(), ids=named)
@settings(max_examples=10, suppress_health_check=list(HealthCheck), deadline=None)
@given(data=st.data())
def test_messages_fit_their_schemas(
    method: MethodDescriptor, data: st.DataObject, *, defaults: bool
) -> None:
    """JSON of a reply or a request is what its schema says, with defaults told or left out."""
    reply = data.draw(messages(method.output_type))
    name = method.output_type.full_name.removeprefix("guilder.")
    told = json_format.MessageToDict(
        reply,
        always_print_fields_with_no_presence=defaults,
        descriptor_pool=catalogue().pool,
    )
    assert not faults(told, document()["components"]["schemas"][name])
    for schema in bodies(method):
        request = data.draw(messages(method.input_type))
        asked = json_format.MessageToDict(request, descriptor_pool=catalogue().pool)
        assert not faults(asked, schema)
