"""Write each public call as an operation: where it is, what it takes, and what it answers."""

import re
from collections.abc import Iterator

from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor

from tools.openapi.catalogue import Binding, Catalogue, bindings, camel
from tools.openapi.examples import Examples
from tools.openapi.reasons import ALWAYS, by_status, reasons_of
from tools.openapi.rules import KEY, REQUIRED, Schema, short
from tools.openapi.schemas import Schemas, parts_of
from walletkit.errors import CATALOGUE

JSON = "application/json"
IDEMPOTENCY_KEY: Schema = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": (
        "The call's idempotency key, where `idempotencyKey` does not give it. One of them has to;"
        " where both do they are equal."
    ),
    "schema": {"type": "string", **KEY},
}
ALWAYS_ANSWERED = {
    400: "Malformed, or declined: `details` has the reason.",
    401: "No credentials, or none that are valid.",
    403: "The caller may not do this.",
    429: "Too many calls: come again after `Retry-After` seconds.",
    500: "A fault of ours.",
    503: "Not now; it is safe to come again with the same key.",
    504: "Time ran out: the outcome is unknown, and the same key tells it.",
}
SAME = {401: "Unauthenticated", 403: "Forbidden", 429: "TooMany", 500: "Fault", 504: "TooLate"}
"""Answers that are the same for every call, by the name under which the document has them once."""
ANSWERED = {
    404: "There is no such thing, or none that the caller may see.",
    409: "Another request had this key, or something has changed meanwhile.",
}
_BOUND = re.compile(r"\{(\w+)\}")


class Operations:
    """Writes calls, and asks for the schemas that they name."""

    def __init__(self, catalogue: Catalogue, schemas: Schemas, examples: Examples) -> None:
        self._catalogue = catalogue
        self._schemas = schemas
        self._examples = examples

    def of(self, method: MethodDescriptor) -> Iterator[tuple[str, str, Schema]]:
        """Return a call's paths and verbs, each with its operation."""
        for number, binding in enumerate(bindings(method), start=1):
            operation = self._operation(method, binding)
            if number > 1:
                operation["operationId"] += f"_{number}"
            path = _BOUND.sub(lambda name: f"{{{camel(name[1])}}}", binding.path)
            yield path, binding.verb, operation

    def _operation(self, method: MethodDescriptor, binding: Binding) -> Schema:
        told = self._catalogue.comment(method.full_name)
        service = method.containing_service
        operation: Schema = {
            "tags": [service.name],
            "operationId": f"{service.name}_{method.name}",
            "summary": _first_sentence(told),
            "description": told,
        }
        parameters = [*self._parameters(method.input_type, binding)]
        if parameters:
            operation["parameters"] = parameters
        if binding.body:
            operation["requestBody"] = self._body(method, binding)
        operation["responses"] = {"200": self._reply(method), **self._errors(method)}
        return operation

    def _parameters(self, request: Descriptor, binding: Binding) -> Iterator[Schema]:
        for name in binding.bound:
            field = request.fields_by_name[name]
            yield {
                "name": field.json_name,
                "in": "path",
                "required": True,
                **_split(self._schemas.field(field)),
            }
        if not binding.body:
            required = REQUIRED.get(short(request.full_name), ())
            for field in request.fields:
                if field.name not in binding.bound:
                    yield from self._queries(field, required=field.name in required)
        if "idempotency_key" in request.fields_by_name:
            yield {"$ref": "#/components/parameters/IdempotencyKey"}

    def _queries(
        self, field: FieldDescriptor, before: str = "", *, required: bool = False
    ) -> Iterator[Schema]:
        """Return the query parameters that give a field: one, or one for each field in it."""
        name = f"{before}{field.json_name}"
        parts = parts_of(field)
        if parts and field.is_repeated:
            message = f"{field.full_name}: no query parameter can be a list of messages"
            raise ValueError(message)
        for inner in parts:
            yield from self._queries(inner, f"{name}.")
        if not parts:
            yield {
                "name": name,
                "in": "query",
                **({"required": True} if required else {}),
                **({"style": "form", "explode": True} if field.is_repeated else {}),
                **_split(self._schemas.field(field)),
            }

    def _body(self, method: MethodDescriptor, binding: Binding) -> Schema:
        """Write a body: the whole request, less what the path carries."""
        schema = (
            self._schemas.message(method.input_type, without=binding.bound)
            if binding.bound
            else self._schemas.reference(method.input_type)
        )
        example = self._examples.request(method, binding.bound)
        content = {"schema": schema, **({} if example is None else {"example": example})}
        return {"required": True, "content": {JSON: content}}

    def _reply(self, method: MethodDescriptor) -> Schema:
        told = self._catalogue.comment(method.output_type.full_name)
        if method.server_streaming:
            told = f"A stream of JSON, one value a line, as they come. Each is: {told}"
        example = self._examples.reply(method)
        content = {
            "schema": self._schemas.reference(method.output_type),
            **({} if example is None else {"example": example}),
        }
        return {"description": told, "content": {JSON: content}}

    def _errors(self, method: MethodDescriptor) -> dict[str, Schema]:
        """Write what can go wrong, by status, with the reasons that say so."""
        reasons = by_status(reasons_of(self._catalogue, method))
        told = {**ALWAYS_ANSWERED, **{at: ANSWERED[at] for at in reasons if at in ANSWERED}}
        return {
            str(status): {"$ref": f"#/components/responses/{SAME[status]}"}
            if status in SAME
            else _error(told[status], reasons.get(status, []))
            for status in sorted(told)
        }


def same_answers() -> dict[str, Schema]:
    """Write the answers that every call can give, by name."""
    reasons = by_status(ALWAYS)
    return {
        name: _error(ALWAYS_ANSWERED[status], reasons.get(status, []))
        for status, name in SAME.items()
    }


def _error(told: str, reasons: list[str]) -> Schema:
    lines = [f"- `{reason}`: {CATALOGUE[reason].meaning}" for reason in reasons]
    return {
        "description": "\n".join([told, "", *lines]).strip(),
        "content": {JSON: {"schema": {"$ref": "#/components/schemas/Error"}}},
    }


def _split(schema: Schema) -> Schema:
    """Write a field as a parameter: what is told about it stands beside its schema."""
    beside: Schema = {key: schema[key] for key in ("description", "example") if key in schema}
    inner = {key: value for key, value in schema.items() if key not in beside}
    if set(inner) == {"allOf"}:
        inner = inner["allOf"][0]
    return {**beside, "schema": inner}


def _first_sentence(told: str) -> str:
    """Return how a comment begins, up to its first full stop."""
    return re.split(r"\.(?:\s|$)|:\s", told, maxsplit=1)[0].replace("\n", " ")
