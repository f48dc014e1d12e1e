"""Messages of any kind, filled at random as far as the table of rules lets them be."""

import re
from collections.abc import Callable, Sequence
from typing import Any

from google.protobuf import message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from hypothesis import strategies as st

from tools.openapi.rules import REQUIRED, Schema, rule_of, short

MAX_DEPTH = 4
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
_F = FieldDescriptor
NUMBERS = {
    _F.TYPE_INT32: (-(2**31), 2**31 - 1),
    _F.TYPE_UINT32: (0, 2**32 - 1),
    _F.TYPE_INT64: (-(2**63), 2**63 - 1),
    _F.TYPE_UINT64: (0, 2**64 - 1),
}


@st.composite
def messages(draw: st.DrawFn, kind: Descriptor, depth: int = 0) -> Message:
    """Fill a message: what is required, one field of each oneof, and some of the others."""
    message = message_factory.GetMessageClass(kind)()
    _fill(draw, message, depth)
    return message


def _fill(draw: st.DrawFn, message: Message, depth: int) -> None:
    kind = message.DESCRIPTOR
    if kind.full_name == "google.protobuf.Timestamp":
        message.FromMicroseconds(draw(st.integers(0, 2**51)))  # type: ignore[attr-defined]
        return
    if kind.full_name.startswith("google."):
        # Free forms: what they hold is nobody's rule.
        return
    required = REQUIRED.get(short(kind.full_name), ())
    for field in kind.fields:
        choice = field.containing_oneof
        if choice is not None and len(choice.fields) > 1:
            continue
        if field.name in required or (depth < MAX_DEPTH and draw(st.booleans())):
            _set(draw, message, field, depth)
    for choice in kind.oneofs:
        if len(choice.fields) > 1:
            _set(draw, message, draw(_one_of(choice.fields)), depth)


def _one_of(fields: Sequence[Any]) -> st.SearchStrategy[Any]:
    return st.sampled_from(list(fields))


def _set(
    draw: st.DrawFn,
    message: Message,
    field: Any,  # noqa: ANN401  # a descriptor, of one of two classes
    depth: int,
) -> None:
    target = getattr(message, field.name)
    rule = rule_of(field.full_name)
    inner = field.message_type
    if inner is not None and inner.GetOptions().map_entry:
        value = draw(_values(inner.fields_by_name["value"], rule.get("additionalProperties", {})))
        target[draw(TEXT)] = value
    elif field.is_repeated:
        for _ in range(draw(st.integers(1, 2))):
            if inner is not None:
                _fill(draw, target.add(), depth + 1)
            else:
                target.append(draw(_values(field, rule.get("items", {}))))
    elif inner is not None:
        target.SetInParent()
        _fill(draw, target, depth + 1)
    else:
        setattr(message, field.name, draw(_values(field, rule)))


def _values(
    field: Any,  # noqa: ANN401  # as above
    rule: Schema,
) -> st.SearchStrategy[Any]:
    """Return values of a field that is one value."""
    if field.enum_type is not None:
        # One that is required is given, and its zero stands for none.
        needed = field.name in REQUIRED.get(short(field.containing_type.full_name), ())
        numbers = [value.number for value in field.enum_type.values]
        return st.sampled_from([number for number in numbers if number or not needed])
    if "enum" in rule:
        return st.sampled_from(list(rule["enum"]))
    if "pattern" in rule:
        plain = re.compile(str(rule["pattern"]).removeprefix("^").removesuffix("$"), re.ASCII)
        texts = st.from_regex(plain, fullmatch=True)
        return texts if field.type == _F.TYPE_STRING else texts.map(int).filter(_fits(field))
    if field.type in NUMBERS:
        low, high = NUMBERS[field.type]
        return st.integers(int(str(rule.get("minimum", low))), int(str(rule.get("maximum", high))))
    simple: dict[int, st.SearchStrategy[Any]] = {
        _F.TYPE_BOOL: st.booleans(),
        _F.TYPE_BYTES: st.binary(max_size=20),
        _F.TYPE_STRING: TEXT,
    }
    return simple[field.type]


def _fits(field: FieldDescriptor) -> Callable[[int], bool]:
    low, high = NUMBERS[field.type]
    return lambda number: low <= number <= high
