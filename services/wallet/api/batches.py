"""Carry out batches: transfers, commands each for itself, and commands all or none. No SQL here."""

from collections.abc import Sequence
from functools import partial
from typing import cast

from google.protobuf.message import Message

from guilder.wallet.v1 import wallet_service_pb2 as pb
from wallet.api.carry import Asked, Carrier, check_lines, position
from wallet.api.form import Form
from wallet.api.names import Names
from wallet.api.parse.postings import scope_of
from wallet.api.reach import form_of
from wallet.api.verbs import IN_BATCHES, METHODS, TRANSFER, AnyVerb
from wallet.domain import idempotency
from wallet.domain.commands import (
    Atomic,
    PostTransaction,
    Reverse,
    SingleCommand,
    Transfer,
)
from wallet.domain.outcome import AtomicSet
from wallet.engine.queue import MAX_ATOMIC_BYTES, size_of
from wallet.engine.router import Router
from walletkit.errors import FieldViolation, ServiceError, invalid_field
from walletkit.ids import NIL, new_id, slot_of
from walletkit.principal import TRUSTED, current
from walletkit.rpc.roles import check
from walletkit.rpc.status import to_status

MAX_COMMANDS = 1000
"""Commands in one batch, and transfers in one message of a stream."""


class Batches:
    """Carries out several commands a call."""

    def __init__(self, router: Router, names: Names, carrier: Carrier) -> None:
        """Take the shards, what requests name, and what carries out each command."""
        self._router = router
        self._names = names
        self._carrier = carrier

    async def transfers(
        self,
        requests: Sequence[pb.TransferRequest],
        answer: pb.BatchTransferResponse | pb.StreamTransfersResponse,
        deadline: float,
        *,
        validate_only: bool,
    ) -> None:
        """Make transfers that do not depend on each other; answer in their order."""
        _check_count("transfers", len(requests))
        added = [answer.results.add() for _ in requests]
        asked = [
            Asked(TRANSFER, one, validate_only or one.validate_only, result.response)
            for one, result in zip(requests, added, strict=True)
        ]
        found = await self._carrier.each(asked, deadline)
        for one, result, reply in zip(asked, added, found, strict=True):
            if isinstance(reply, ServiceError):
                result.error.CopyFrom(to_status(reply))
            elif reply is not one.into:
                result.response.CopyFrom(cast("pb.TransferResponse", reply))

    async def execute(
        self, request: pb.BatchExecuteRequest, deadline: float
    ) -> pb.BatchExecuteResponse:
        """Carry out commands of any kind, each for itself or all together."""
        _check_count("commands", len(request.commands))
        _check_roles(request.commands)
        if request.atomic:
            return await self._together(request, deadline)
        if request.idempotency_key:
            rule = "must be empty: only an atomic batch has a key"
            raise invalid_field("idempotency_key", request.idempotency_key, rule)
        names = [_name_of(place, one) for place, one in enumerate(request.commands)]
        asked = [
            Asked(IN_BATCHES[name], part, request.validate_only or part.validate_only)
            for name, part in [
                (name, getattr(one, name))
                for name, one in zip(names, request.commands, strict=True)
            ]
        ]
        found = await self._carrier.each(asked, deadline)
        return pb.BatchExecuteResponse(
            results=[_result(name, one) for name, one in zip(names, found, strict=True)]
        )

    async def _together(
        self, request: pb.BatchExecuteRequest, deadline: float
    ) -> pb.BatchExecuteResponse:
        """Carry out all commands in one commit, or none."""
        form = form_of(None)
        key = form.key(request.idempotency_key)
        form.done()
        names = [_name_of(place, one) for place, one in enumerate(request.commands)]
        commands = await self._parts(names, request.commands)
        check_lines(commands)
        self._check_shard(commands)
        atomic = _atomic(commands, form.client, key)
        _check_size(atomic)
        verbs = [IN_BATCHES[name] for name in names]
        replies = await self._replies(atomic, verbs, deadline, validate_only=request.validate_only)
        return pb.BatchExecuteResponse(
            results=[_result(name, reply) for name, reply in zip(names, replies, strict=True)]
        )

    async def _parts(
        self, names: Sequence[str], commands: Sequence[pb.BatchCommand]
    ) -> list[SingleCommand]:
        """Read the commands of an atomic batch; their faults are told by their places.

        Raise ``ServiceError`` for the first that is at fault.
        """
        found = await self._names.read_each(
            [
                partial(_read_part, IN_BATCHES[name], getattr(one, name))
                for name, one in zip(names, commands, strict=True)
            ],
            part=True,
        )
        parts: list[SingleCommand] = []
        for place, (name, one) in enumerate(zip(names, found, strict=True)):
            if isinstance(one, ServiceError):
                raise _placed(one, f"commands[{place}].{name}", place)
            parts.append(one)
        return parts

    def _check_shard(self, commands: Sequence[SingleCommand]) -> None:
        """Refuse what lies on another shard than the first command; slots may differ."""
        first = self._router.loop_of(commands[0].slot)
        for place, command in enumerate(commands):
            if self._router.loop_of(command.slot) is not first:
                rule = "must lie on the shard of the first command, as all of an atomic batch"
                raise invalid_field(f"commands[{place}]", type(command).__name__, rule)

    async def _replies(
        self, atomic: Atomic, verbs: Sequence[AnyVerb], deadline: float, *, validate_only: bool
    ) -> list[Message]:
        made = None
        if validate_only:
            (outcome,) = await self._router.validate([atomic], deadline)
        else:
            answer = await self._carrier.submit(atomic, deadline)
            outcome, made = answer.outcome, position(answer)
        if isinstance(outcome, ServiceError):
            raise await self._carrier.told(outcome)
        if not isinstance(outcome, AtomicSet):
            message = f"unexpected outcome: {outcome!r}"
            raise TypeError(message)
        exists = not validate_only or outcome.replayed
        return [
            await self._carrier.reply(
                verb, one._replace(replayed=outcome.replayed), made, exists=exists
            )
            for verb, one in zip(verbs, outcome.outcomes, strict=True)
        ]


def _read_part(verb: AnyVerb, part: Message, form: Form) -> SingleCommand:
    """Read one command of an atomic batch."""
    if part.validate_only:  # type: ignore[attr-defined]  # each has the field
        raise invalid_field("validate_only", value=True, rule="is the batch's to say")
    command: SingleCommand = verb.parse(part, form)
    return command


def _atomic(commands: Sequence[SingleCommand], client: bytes, key: str) -> Atomic:
    """Make one command of several; each gets a key of its own, made from the batch's."""
    scope = min(map(_scope_of, commands))
    key_hash = idempotency.key_hash(client, scope, key)
    parts = tuple(
        command._replace(key_hash=idempotency.part_key_hash(key_hash, place))
        for place, command in enumerate(commands)
    )
    slot = slot_of(scope)
    fingerprint = idempotency.atomic_fingerprint(command.fingerprint for command in commands)
    return Atomic(new_id(slot), slot, parts, key_hash, fingerprint)


def _check_size(atomic: Atomic) -> None:
    """Refuse what one commit should not carry."""
    size = size_of(atomic)
    if size > MAX_ATOMIC_BYTES:
        rule = f"must come to about {MAX_ATOMIC_BYTES} bytes at most where they are atomic"
        raise invalid_field("commands", f"{size} bytes", rule)


def _scope_of(command: SingleCommand) -> bytes:
    """Return the scope wallet of a command that a batch may hold."""
    if isinstance(command, (Transfer, Reverse)):
        return command.destination if command.source == NIL else command.source
    if isinstance(command, PostTransaction):
        return scope_of(command.lines)
    return command.wallet_id  # type: ignore[union-attr]  # holds; no other is in batches


def _check_roles(commands: Sequence[pb.BatchCommand]) -> None:
    """Hold each kind of command to the row of its own method in the table of roles.

    One that the caller may not give refuses the whole batch.
    """
    if (caller := current()) is TRUSTED:
        return
    names = {name for one in commands if (name := one.WhichOneof("command")) is not None}
    for name in sorted(names):
        check(METHODS[name], caller)


def _name_of(place: int, command: pb.BatchCommand) -> str:
    name = command.WhichOneof("command")
    if name is None:
        raise invalid_field(f"commands[{place}]", None, "must be given")
    return name


def _result(name: str, result: Message | ServiceError) -> pb.BatchResult:
    if isinstance(result, ServiceError):
        return pb.BatchResult(error=to_status(result))
    found = pb.BatchResult()
    getattr(found, name).CopyFrom(result)
    return found


def _placed(error: ServiceError, prefix: str, place: int) -> ServiceError:
    """Say of which command of a batch an error is."""
    violations = tuple(
        FieldViolation(f"{prefix}.{one.field}", f"{prefix}.{one.description}")
        for one in error.violations
    )
    if violations:
        metadata = {"field": violations[0].field}
    else:
        metadata = {**error.metadata, "failed_index": str(place)}
    return ServiceError(error.reason, error.message, metadata, violations)


def _check_count(field: str, count: int) -> None:
    if not 1 <= count <= MAX_COMMANDS:
        raise invalid_field(field, f"{count} {field}", f"must hold 1 to {MAX_COMMANDS} {field}")
