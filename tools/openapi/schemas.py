"""Write messages and enums as JSON Schema, the way Envoy's transcoder reads and writes them.

That is protobuf's JSON mapping: lowerCamelCase names, 64-bit integers as text, enums by name, and
well-known types in forms of their own. Fields at their default are left out of replies.
"""

from collections.abc import Container, Sequence

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor, OneofDescriptor

from tools.openapi.catalogue import Catalogue
from tools.openapi.rules import REQUIRED, Schema, rule_of, short

_UINT32_MAX = 2**32 - 1
_INT64: Schema = {"type": "string", "format": "int64", "pattern": "^-?[0-9]{1,19}$"}
_UINT64: Schema = {"type": "string", "format": "uint64", "pattern": "^[0-9]{1,20}$"}
_INT32: Schema = {"type": "integer", "format": "int32"}
_UINT32: Schema = {"type": "integer", "format": "int64", "minimum": 0, "maximum": _UINT32_MAX}

_F = FieldDescriptor
_SCALARS: dict[int, Schema] = {
    _F.TYPE_STRING: {"type": "string"},
    _F.TYPE_BYTES: {"type": "string", "format": "byte"},
    _F.TYPE_BOOL: {"type": "boolean"},
    _F.TYPE_DOUBLE: {"type": "number", "format": "double"},
    _F.TYPE_FLOAT: {"type": "number", "format": "float"},
    **dict.fromkeys((_F.TYPE_INT32, _F.TYPE_SINT32, _F.TYPE_SFIXED32), _INT32),
    **dict.fromkeys((_F.TYPE_UINT32, _F.TYPE_FIXED32), _UINT32),
    **dict.fromkeys((_F.TYPE_INT64, _F.TYPE_SINT64, _F.TYPE_SFIXED64), _INT64),
    **dict.fromkeys((_F.TYPE_UINT64, _F.TYPE_FIXED64), _UINT64),
}
_WELL_KNOWN: dict[str, Schema] = {
    "google.protobuf.Timestamp": {
        "type": "string",
        "format": "date-time",
        "example": "2026-07-01T09:30:00Z",
    },
    "google.protobuf.Duration": {"type": "string", "pattern": r"^-?[0-9]+(\.[0-9]{1,9})?s$"},
    "google.protobuf.FieldMask": {"type": "string"},
    "google.protobuf.Empty": {"type": "object"},
    "google.protobuf.Struct": {"type": "object", "additionalProperties": True},
    "google.protobuf.Value": {},
    "google.protobuf.ListValue": {"type": "array", "items": {}},
    "google.protobuf.Any": {
        "type": "object",
        "required": ["@type"],
        "properties": {"@type": {"type": "string"}},
        "additionalProperties": True,
    },
    "google.protobuf.BoolValue": {"type": "boolean", "nullable": True},
    "google.protobuf.StringValue": {"type": "string", "nullable": True},
    "google.protobuf.BytesValue": {"type": "string", "format": "byte", "nullable": True},
    "google.protobuf.DoubleValue": {"type": "number", "nullable": True},
    "google.protobuf.FloatValue": {"type": "number", "nullable": True},
    "google.protobuf.Int32Value": {**_INT32, "nullable": True},
    "google.protobuf.UInt32Value": {**_UINT32, "nullable": True},
    "google.protobuf.Int64Value": {**_INT64, "nullable": True},
    "google.protobuf.UInt64Value": {**_UINT64, "nullable": True},
}


class Schemas:
    """The schemas of a document: all that its calls name, each once."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._waiting: list[Descriptor | EnumDescriptor] = []
        self._named: set[str] = set()

    def reference(self, kind: Descriptor | EnumDescriptor) -> Schema:
        """Return a reference to a message or enum, which the document is to have."""
        name = short(kind.full_name)
        if name not in self._named:
            self._named.add(name)
            self._waiting.append(kind)
        return {"$ref": f"#/components/schemas/{name}"}

    def written(self) -> dict[str, Schema]:
        """Return all that was referred to, by name, and what that refers to."""
        found: dict[str, Schema] = {}
        while self._waiting:
            kind = self._waiting.pop()
            found[short(kind.full_name)] = (
                self.message(kind) if isinstance(kind, Descriptor) else self.enum(kind)
            )
        return dict(sorted(found.items()))

    def enum(self, kind: EnumDescriptor) -> Schema:
        """Write an enum, each value with what it means."""
        meanings = [
            f"- `{value.name}`: {self._told(f'{kind.full_name}.{value.name}')}"
            for value in kind.values
        ]
        told = self._told(kind.full_name)
        names = [value.name for value in kind.values]
        return {
            "type": "string",
            "description": "\n".join([told, "", *meanings]).strip(),
            "enum": names,
        }

    def message(self, kind: Descriptor, without: Container[str] = ()) -> Schema:
        """Write a message, less the fields that are said elsewhere."""
        schema: Schema = {"type": "object", "description": self._told(kind.full_name)}
        fields = [field for field in kind.fields if field.name not in without]
        required = REQUIRED.get(short(kind.full_name), ())
        needed = [field.json_name for field in fields if field.name in required]
        if needed:
            schema["required"] = needed
        schema["properties"] = {field.json_name: self.field(field) for field in fields}
        for choice in kind.oneofs:
            if not _is_synthetic(choice):
                schema["oneOf"] = [{"required": [one.json_name]} for one in choice.fields]
        return {key: value for key, value in schema.items() if value not in ("", {})}

    def field(self, field: FieldDescriptor) -> Schema:
        """Write a field, with what the table says of it."""
        told = self._told(field.full_name)
        about: Schema = {"description": told} if told else {}
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            values = field.message_type.fields_by_name["value"]
            shape: Schema = {"type": "object", "additionalProperties": self._single(values)}
        elif field.is_repeated:
            shape = {"type": "array", "items": self._single(field)}
        else:
            shape = self._single(field)
        rule = dict(rule_of(field.full_name))
        if "items" in rule:
            rule["items"] = {**shape["items"], **rule["items"]}
        # Beside a reference nothing else counts.
        return {"allOf": [shape], **about} if "$ref" in shape else {**shape, **about, **rule}

    def _single(self, field: FieldDescriptor) -> Schema:
        """Write one value of a field."""
        if field.enum_type is not None:
            return self.reference(field.enum_type)
        if field.message_type is None:
            return dict(_SCALARS[field.type])
        known = _WELL_KNOWN.get(field.message_type.full_name)
        return self.reference(field.message_type) if known is None else dict(known)

    def _told(self, full_name: str) -> str:
        return self._catalogue.comment(full_name)


def parts_of(field: FieldDescriptor) -> Sequence[FieldDescriptor]:
    """Return the fields that a field is written as; none where it is one value."""
    inner = field.message_type
    return () if inner is None or inner.full_name in _WELL_KNOWN else inner.fields


def _is_synthetic(choice: OneofDescriptor) -> bool:
    """Tell whether a oneof only stands for `optional`: it has one field, and a name made of it."""
    return [f"_{one.name}" for one in choice.fields] == [choice.name]
