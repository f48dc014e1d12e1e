"""Write the OpenAPI document of all public calls out of a descriptor set.

OpenAPI 3.0.3: what the bundled viewer shows. Pure, and the same bytes for the same contracts.
"""

import json
import tomllib
from pathlib import Path
from typing import Any

from tools.openapi.catalogue import Catalogue
from tools.openapi.examples import Examples
from tools.openapi.operations import IDEMPOTENCY_KEY, Operations, same_answers
from tools.openapi.rules import Schema
from tools.openapi.schemas import Schemas

_TOLD = """\
Guilder moves money and loses none. These are its public calls over REST; gRPC has the same ones.

- Amounts are integers of minor units. They are text, as all 64-bit integers are: `"1250"` in EUR
  is €12.50.
- A field that is not given has its default: `""`, `"0"`, `false` or an empty list.
- Every change takes an idempotency key, in its body or as header `Idempotency-Key`. The same key
  with the same request gets the first decision again, a decline included, with `replayed` set.
- An error is a `google.rpc.Status`. Decide by the `reason` of the `ErrorInfo` in its `details`;
  sentences may change. After 503 and 504 send the same request with the same key again.
- A stream is JSON, one value a line.
"""

_DETAILS = ("google.rpc.ErrorInfo", "google.rpc.BadRequest")
"""Details that errors carry; others may come."""


def render(image: bytes, root: Path) -> str:
    """Write the document of a descriptor set as JSON; version and examples are the clone's."""
    version: str = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"][
        "version"
    ]
    document = build(Catalogue(image), version, Examples.read(root))
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False) + "\n"


def build(catalogue: Catalogue, version: str, examples: Examples) -> dict[str, Any]:
    """Build the document. Raise ``ValueError`` for what it can't say of a call."""
    schemas = Schemas(catalogue)
    operations = Operations(catalogue, schemas, examples)
    paths: dict[str, Schema] = {}
    tags = []
    for service, methods in catalogue.public():
        tags.append({"name": service.name, "description": catalogue.comment(service.full_name)})
        for method in methods:
            for path, verb, operation in operations.of(method):
                paths.setdefault(path, {})[verb] = operation
    error = _error(catalogue, schemas)
    return {
        "openapi": "3.0.3",
        "info": {
            "title": "Guilder",
            "version": version,
            "description": _TOLD,
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "servers": [{"url": "/", "description": "Where this page comes from."}],
        "security": [{"bearer": []}, {"apiKey": []}],
        "tags": tags,
        "paths": paths,
        "components": {
            "securitySchemes": _SECURITY,
            "responses": same_answers(),
            "parameters": {"IdempotencyKey": IDEMPOTENCY_KEY},
            "schemas": {"Error": error, **schemas.written()},
        },
    }


_SECURITY: Schema = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "A token of an issuer that is configured.",
    },
    "apiKey": {
        "type": "apiKey",
        "in": "header",
        "name": "x-api-key",
        "description": "A key of a machine.",
    },
}


def _error(catalogue: Catalogue, schemas: Schemas) -> Schema:
    """Write the body of every error: a `google.rpc.Status` and the details that we know."""
    known = [_detail(catalogue, schemas, name) for name in _DETAILS]
    other = {"type": "object", "required": ["@type"], "properties": {"@type": {"type": "string"}}}
    return {
        "type": "object",
        "description": "A `google.rpc.Status`.",
        "required": ["code", "message"],
        "properties": {
            "code": {"type": "integer", "format": "int32", "description": "The gRPC code."},
            "message": {"type": "string", "description": "A sentence for people."},
            "details": {
                "type": "array",
                "description": "For programs: an `ErrorInfo`, and a `BadRequest` where fields are"
                " malformed.",
                "items": {"anyOf": [*known, other]},
            },
        },
        "example": _EXAMPLE,
    }


def _detail(catalogue: Catalogue, schemas: Schemas, name: str) -> Schema:
    """Write a message as it stands in an Any: with its type beside its fields."""
    kind: Schema = {"type": "string", "enum": [f"type.googleapis.com/{name}"]}
    typed = {"type": "object", "required": ["@type"], "properties": {"@type": kind}}
    return {"allOf": [typed, schemas.reference(catalogue.message(name))]}


_EXAMPLE: Schema = {
    "code": 9,
    "message": "available balance 500 does not cover 1250",
    "details": [
        {
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": "INSUFFICIENT_FUNDS",
            "domain": "guilder",
            "metadata": {"available_minor": "500"},
        }
    ],
}
