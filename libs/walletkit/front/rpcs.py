"""Read from the descriptors which calls the public may make, and what each is. Pure but for a file.

A call is public when it has a ``google.api.http`` annotation, or stands in ``GRPC_ONLY``. All
others are between our own services, and no route of Envoy leads to them.
"""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from google.api import annotations_pb2, http_pb2
from google.protobuf import descriptor_pb2

SERVICES = {
    "guilder.wallet.v1.WalletService": "wallet",
    "guilder.ledger.v1.LedgerService": "ledger",
    "guilder.notify.v1.NotifyService": "notify",
    "guilder.edge.v1.KeyService": "edge",
}
"""The public services, and the cluster that each runs in."""

GRPC_ONLY = frozenset({"/guilder.wallet.v1.WalletService/StreamTransfers"})
"""Public calls that REST can't carry: streams in both directions."""

SLOW = frozenset(
    f"/guilder.ledger.v1.LedgerService/{name}"
    for name in ("GetTrialBalance", "VerifyChain", "VerifyTransit", "Reconcile")
)
"""Calls that read a whole journal before they answer."""

BATCHES = frozenset(
    f"/guilder.wallet.v1.WalletService/{name}"
    for name in ("BatchTransfer", "BatchExecute", "StreamTransfers")
)
"""Calls that each carry many commands: one of them costs as much as a thousand others."""

_KEY = "idempotency_key"
_VARIABLE = re.compile(r"\{(\w+)\}")


class Kind(Enum):
    """What may be done about a call that failed on its way, and how long it may take."""

    READ = "read"
    """Changes nothing."""
    SLOW_READ = "slow read"
    KEYED = "keyed"
    """Changes something; its service refuses it without an idempotency key."""
    CHANGE = "change"
    """Changes something, and has no key."""
    STREAM = "stream"
    """Answers with many messages."""


@dataclass(frozen=True, slots=True)
class Binding:
    """One way to make a call over REST: method, and template such as ``/v1/wallets/{id}:close``."""

    method: str
    template: str

    @property
    def regex(self) -> str:
        """Return what matches exactly the paths of the template."""
        literals = _VARIABLE.split(self.template)[::2]
        return "[^/]+".join(map(re.escape, literals))

    @property
    def specificity(self) -> tuple[int, int]:
        """Return a sort key that puts a template before those that match its paths as well."""
        return len(_VARIABLE.findall(self.template)), -len(self.template)


@dataclass(frozen=True, slots=True)
class Rpc:
    """A public call."""

    path: str
    """``/package.Service/Method``, as gRPC has it."""
    cluster: str
    kind: Kind
    bindings: tuple[Binding, ...]

    @property
    def changes(self) -> bool:
        """Tell whether it may change something, as a stream may, too."""
        return self.path in GRPC_ONLY or any(one.method != "GET" for one in self.bindings)

    @property
    def counted_as(self) -> str:
        """Return which of a client's limits a call counts against: read, write or batch."""
        if self.path in BATCHES:
            return "batch"
        return "write" if self.changes else "read"


def read(descriptors: Path, clusters: Collection[str]) -> tuple[Rpc, ...]:
    """List the public calls that go to these clusters.

    Raise ``OSError`` for a descriptor set that can't be read.
    """
    image = descriptor_pb2.FileDescriptorSet.FromString(descriptors.read_bytes())
    return tuple(
        _rpc(path, method, image)
        for path, method in methods(image)
        if SERVICES.get(path.split("/")[1]) in clusters
        and (path in GRPC_ONLY or bindings_of(method))
    )


def methods(
    image: descriptor_pb2.FileDescriptorSet,
) -> Iterator[tuple[str, descriptor_pb2.MethodDescriptorProto]]:
    """List every call of every service, public or not, by its gRPC path."""
    for file in image.file:
        for service in file.service:
            for method in service.method:
                yield f"/{file.package}.{service.name}/{method.name}", method


def bindings_of(method: descriptor_pb2.MethodDescriptorProto) -> tuple[Binding, ...]:
    """Return the ways to make a call over REST; none for one that has no annotation."""
    if not method.options.HasExtension(annotations_pb2.http):
        return ()
    rule = method.options.Extensions[annotations_pb2.http]
    return tuple(_binding(one) for one in (rule, *rule.additional_bindings))


def _binding(rule: http_pb2.HttpRule) -> Binding:
    pattern = rule.WhichOneof("pattern")
    assert pattern in {"get", "put", "post", "delete", "patch"}, f"no plain method: {rule}"
    template: str = getattr(rule, pattern)
    plain = _VARIABLE.sub("x", template)
    assert re.fullmatch(r"[/\w:.-]+", plain), f"no template with plain variables: {template}"
    return Binding(pattern.upper(), template)


def _rpc(
    path: str,
    method: descriptor_pb2.MethodDescriptorProto,
    image: descriptor_pb2.FileDescriptorSet,
) -> Rpc:
    bindings = bindings_of(method)
    return Rpc(path, SERVICES[path.split("/")[1]], _kind(path, method, image), bindings)


def _kind(
    path: str,
    method: descriptor_pb2.MethodDescriptorProto,
    image: descriptor_pb2.FileDescriptorSet,
) -> Kind:
    if method.server_streaming:
        return Kind.STREAM
    if path in SLOW:
        return Kind.SLOW_READ
    if all(binding.method == "GET" for binding in bindings_of(method)):
        return Kind.READ
    return Kind.KEYED if _takes_key(method.input_type, image) else Kind.CHANGE


def _takes_key(name: str, image: descriptor_pb2.FileDescriptorSet) -> bool:
    """Tell whether a request has a key, or is a list of requests that each have one."""
    messages = {f".{f.package}.{m.name}": m for f in image.file for m in f.message_type}
    fields = messages[name].field
    if any(field.name == _KEY for field in fields):
        return True
    return any(
        field.type == field.TYPE_MESSAGE
        and field.label == field.LABEL_REPEATED
        and any(inner.name == _KEY for inner in messages[field.type_name].field)
        for field in fields
        if field.type_name in messages
    )
