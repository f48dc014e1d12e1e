"""The OpenAPI document as it was built, and the contracts that it was built from."""

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from google.protobuf.descriptor import MethodDescriptor
from openapi_schema_validator import OAS30Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT4

from tools.openapi.catalogue import Catalogue

ROOT = Path(__file__).resolve().parents[2]
HERE = "urn:guilder:openapi"


@cache
def catalogue() -> Catalogue:
    """Read the descriptor set."""
    return Catalogue((ROOT / "gen/guilder.binpb").read_bytes())


@cache
def document() -> dict[str, Any]:
    """Read the document."""
    read: dict[str, Any] = json.loads((ROOT / "gen/openapi.json").read_text(encoding="utf-8"))
    return read


def methods() -> list[MethodDescriptor]:
    """List the public calls that have a REST path."""
    return [method for _, found in catalogue().public() for method in found]


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """List path, verb and operation of all that is documented."""
    for path, verbs in document()["paths"].items():
        for verb, operation in verbs.items():
            yield path, verb, operation


def nodes(value: Any) -> Iterator[dict[str, Any]]:  # noqa: ANN401  # JSON
    """List every object within JSON."""
    if isinstance(value, dict):
        yield value
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for one in inner:
        yield from nodes(one)


@cache
def _registry() -> Registry[Any]:
    whole = Resource.from_contents(document(), default_specification=DRAFT4)
    registry: Registry[Any] = Registry().with_resource(HERE, whole)
    return registry


def faults(instance: Any, schema: dict[str, Any]) -> list[str]:  # noqa: ANN401  # JSON
    """Say what in JSON breaks a schema of the document, whose references are its own."""
    found = OAS30Validator(_absolute(schema), registry=_registry()).iter_errors(instance)
    return [f"{'.'.join(map(str, error.absolute_path))}: {error.message}" for error in found]


def _absolute(value: Any) -> Any:  # noqa: ANN401  # JSON
    """Make references lead to the document from wherever they stand."""
    if isinstance(value, dict):
        return {
            key: f"{HERE}{one}" if key == "$ref" else _absolute(one) for key, one in value.items()
        }
    return [_absolute(one) for one in value] if isinstance(value, list) else value
