"""Read a descriptor set: its public calls with their HTTP rules, and the comment of each element.

Pure: google.protobuf alone, so that a build can use it before any stub exists.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from google.api import annotations_pb2, http_pb2
from google.protobuf import descriptor_pb2
from google.protobuf.descriptor import Descriptor, MethodDescriptor, ServiceDescriptor
from google.protobuf.descriptor_pool import DescriptorPool

OURS = "guilder."
ORDER = ("guilder.wallet.", "guilder.ledger.", "guilder.notify.")
"""Packages in the order in which people read of them; others follow."""

_Proto = descriptor_pb2.FileDescriptorProto
_MESSAGES, _ENUMS, _SERVICES = 4, 5, 6
"""Numbers of a file's repeated fields, by which source paths begin."""
_FIELDS, _NESTED, _NESTED_ENUMS, _VALUES, _METHODS = 2, 3, 4, 2, 2
"""Numbers of what is in a message, an enum and a service."""
_BOUND = re.compile(r"\{([a-z0-9_.]+)\}")
_NAME = re.compile(r"`([a-z0-9]+(?:_[a-z0-9]+)+)`")


@dataclass(frozen=True, slots=True)
class Binding:
    """One verb and path of a call."""

    verb: str
    path: str
    body: str
    bound: tuple[str, ...]
    """Fields of the request that the path carries, by their proto names."""


class Catalogue:
    """The contracts of a descriptor set."""

    def __init__(self, image: bytes) -> None:
        """Read the set. Raise ``DecodeError`` for what is none."""
        files = descriptor_pb2.FileDescriptorSet.FromString(image).file
        self.pool = DescriptorPool()
        for file in files:
            self.pool.Add(file)
        self._comments = dict(pair for file in files for pair in _comments(file))
        self._services = [
            f"{file.package}.{service.name}"
            for file in files
            if file.package.startswith(OURS)
            for service in file.service
        ]
        self._fields = {
            field.name
            for file in files
            if file.package.startswith(OURS)
            for message in file.message_type
            for field in message.field
        }

    def public(self) -> Iterator[tuple[ServiceDescriptor, list[MethodDescriptor]]]:
        """Return each service that the public may call, with those of its calls."""
        for name in sorted(self._services, key=_place):
            service: ServiceDescriptor = self.pool.FindServiceByName(name)
            methods = [one for one in service.methods if bindings(one)]
            if methods:
                yield service, methods

    def message(self, name: str) -> Descriptor:
        """Return a message by its full name. Raise ``KeyError`` where there is none."""
        found: Descriptor = self.pool.FindMessageTypeByName(name)
        return found

    def comment(self, full_name: str) -> str:
        """Return an element's comment as Markdown; names of fields as JSON has them."""
        return _NAME.sub(self._as_json, self._comments.get(full_name, ""))

    def _as_json(self, found: re.Match[str]) -> str:
        name = found[1]
        return f"`{camel(name)}`" if name in self._fields else found[0]


def bindings(method: MethodDescriptor) -> list[Binding]:
    """Return a call's verbs and paths; none for what the public can't call."""
    rule = method.GetOptions().Extensions[annotations_pb2.http]
    return [_binding(one) for one in (rule, *rule.additional_bindings) if one.WhichOneof("pattern")]


def _place(service: str) -> int:
    found = [place for place, package in enumerate(ORDER) if service.startswith(package)]
    return found[0] if found else len(ORDER)


def camel(name: str) -> str:
    """Write a proto name as JSON does."""
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def _binding(rule: http_pb2.HttpRule) -> Binding:
    verb = rule.WhichOneof("pattern") or ""
    path: str = getattr(rule, verb)
    if "=" in path or "*" in path or rule.body not in {"", "*"}:
        message = f"{path}: paths bind plain fields, and a body is the whole request"
        raise ValueError(message)
    return Binding(verb, path, rule.body, tuple(_BOUND.findall(path)))


def _comments(file: _Proto) -> Iterator[tuple[str, str]]:
    """Return full names with their comments."""
    told = {tuple(place.path): place.leading_comments for place in file.source_code_info.location}
    for path, name in _named(file):
        if path in told:
            yield name, _tidy(told[path])


def _named(file: _Proto) -> Iterator[tuple[tuple[int, ...], str]]:
    for at, message in enumerate(file.message_type):
        yield from _in_message(message, (_MESSAGES, at), file.package)
    for at, kind in enumerate(file.enum_type):
        yield from _in_parent(kind, kind.value, (_ENUMS, at), _VALUES, file.package)
    for at, service in enumerate(file.service):
        yield from _in_parent(service, service.method, (_SERVICES, at), _METHODS, file.package)


def _in_message(
    message: descriptor_pb2.DescriptorProto, path: tuple[int, ...], package: str
) -> Iterator[tuple[tuple[int, ...], str]]:
    yield from _in_parent(message, message.field, path, _FIELDS, package)
    scope = f"{package}.{message.name}"
    for at, inner in enumerate(message.nested_type):
        yield from _in_message(inner, (*path, _NESTED, at), scope)
    for at, kind in enumerate(message.enum_type):
        yield from _in_parent(kind, kind.value, (*path, _NESTED_ENUMS, at), _VALUES, scope)


def _in_parent(
    parent: Any,  # noqa: ANN401  # a message, an enum or a service
    children: Any,  # noqa: ANN401  # what is in it
    path: tuple[int, ...],
    number: int,
    package: str,
) -> Iterator[tuple[tuple[int, ...], str]]:
    scope = f"{package}.{parent.name}"
    yield path, scope
    for at, child in enumerate(children):
        yield (*path, number, at), f"{scope}.{child.name}"


def _tidy(comment: str) -> str:
    """Take the space off that follows each `//`."""
    return "\n".join(line.removeprefix(" ").rstrip() for line in comment.splitlines()).strip()
