"""Carry commands out: read the request, submit or only try it, write the reply. No SQL here."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, TypeAlias, cast

import grpc.aio
from google.protobuf.message import Message

from guilder.type.v1.position_pb2 import Position
from wallet.api import hiding, replies
from wallet.api.form import UnresolvedError, alias_of
from wallet.api.names import Names
from wallet.api.reach import form_of
from wallet.api.verbs import AnyVerb, Out, Reply, Request, Verb
from wallet.domain.commands import KeyedCommand, PostTransaction, SingleCommand
from wallet.domain.kinds import RETURN_LEG, LegResult, TransactionState
from wallet.domain.outcome import AssetSet, HoldSet, Outcome, Posted, SingleOutcome, WalletSet
from wallet.engine.queue import Answer
from wallet.engine.router import Router
from wallet.store import queries
from walletkit.errors import ServiceError, invalid_field
from walletkit.ids import is_system, parse_id
from walletkit.money import learn
from walletkit.principal import MOVERS, TRUSTED, confined_to, current
from walletkit.request import begin
from walletkit.rpc.interceptor import request_id_of

DEFAULT_DEADLINE_S = 30.0
MAX_LINES = 10_000
"""Postings of all commands of one call together: its one reply tells each of them, and must fit in
a message. Reversals of several postings count with theirs."""
LANDED_TIMEOUT_S = 1.0
"""Longest wait for another shard's word on whether a leg has landed."""

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


class Asked(NamedTuple):
    """One command of several that do not depend on each other."""

    verb: AnyVerb
    request: Message
    validate_only: bool
    into: Message | None = None
    """Where its reply may be written, if its verb can do that."""


class Carrier:
    """Carries out what requests ask for."""

    def __init__(self, router: Router, names: Names) -> None:
        """Take the shards, and what requests name."""
        self._router = router
        self._names = names

    async def out(
        self, verb: Verb[Request, Out, Reply], request: Request, context: Context
    ) -> Reply:
        """Carry out one command. Raise ``ServiceError`` when it is declined."""
        try:
            command = verb.parse(request, form_of(self._names.known))
        except UnresolvedError:
            command = await self._names.read(verb.parse, request)
        deadline = deadline_of(context)
        # Every mutating request has the field, but Message does not say so.
        if request.validate_only:  # type: ignore[attr-defined]
            (outcome,) = await self._router.validate([command], deadline)
            return await self._reply(verb, outcome, None, exists=_exists(outcome))
        answer = await self.submit(command, deadline)
        return await self._reply(verb, answer.outcome, position(answer))

    async def administer(
        self, verb: Verb[Request, Out, Reply], request: Request, context: Context
    ) -> Reply:
        """Carry out an admin action: the audit log tells on which call."""
        begin(request_id_of(context))
        return await self.out(verb, request, context)

    async def each(self, asked: Sequence[Asked], deadline: float) -> list[Message | ServiceError]:
        """Carry out commands that do not depend on each other; results are in their order.

        All that is well-formed is queued at once, in order. What is only to be tried is decided in
        order, too, as if each before it had been made.

        Raise ``ServiceError`` for too many postings.
        """
        commands: list[SingleCommand | ServiceError] = await self._names.read_each(
            [partial(one.verb.parse, one.request) for one in asked]
        )
        check_lines(commands)
        results: dict[int, Message | ServiceError] = {}
        queued: dict[int, asyncio.Future[Answer]] = {}
        tried: dict[int, SingleCommand] = {}
        for place, (one, command) in enumerate(zip(asked, commands, strict=True)):
            if isinstance(command, ServiceError):
                results[place] = command
            elif one.validate_only:
                tried[place] = command
            else:
                try:
                    queued[place] = self._router.submit(command, deadline)
                except ServiceError as error:
                    results[place] = error
        quick = partial(self._quick, asked) if confined_to(MOVERS) is None else _never_quick
        made = _answered(queued, quick, partial(self._finish, asked, commands))
        if tried:
            trying = self._try(asked, tried, deadline)
            for found in await asyncio.gather(made, trying):
                results |= found
        else:
            results |= await made
        return [results[place] for place in range(len(asked))]

    async def submit(self, command: KeyedCommand, deadline: float) -> Answer:
        """Carry a command out, with all that belongs to it before its caller may hear of it."""
        future = self._router.submit(command, deadline)
        return await self._router.finish(command, await future)

    async def reply(
        self, verb: AnyVerb, outcome: Outcome, made: Position | None, *, exists: bool = True
    ) -> Message:
        """Write the reply to a command of any kind. Raise ``ServiceError`` when it is declined.

        ``exists``: whether what it tells of was made, by this command or by the one it replays.
        """
        return cast("Message", await self._reply(verb, outcome, made, exists=exists))

    async def told(self, error: ServiceError) -> ServiceError:
        """Return what the caller may hear of a decline: of another's wallet only the reason."""
        shown = error.metadata.get("wallet_id")
        if shown is None or shown.startswith("sys:") or confined_to(MOVERS) is None:
            return error
        try:
            own = await self._names.owners.own([parse_id(shown)])
        except ServiceError:
            own = set()  # Its shard is down: it can't be said whose it is.
        return error if own else hiding.without_figures(error)

    async def landed_state(self, tx_id: bytes, destination: bytes) -> TransactionState:
        """Ask where the money went: the home hears of it a moment later than the destination."""
        try:
            async with asyncio.timeout(LANDED_TIMEOUT_S):
                there = self._router.shard_of(destination)
                result = await queries.leg_result(there, tx_id, 0)
                if result == LegResult.CREDITED:
                    return TransactionState.COMPLETED
                home = self._router.shard_of(tx_id)
                if result == LegResult.RETURNED and (
                    await queries.leg_result(home, tx_id, RETURN_LEG) is not None
                ):
                    return TransactionState.RETURNED
        except (ServiceError, TimeoutError):
            pass  # The other shard is down: as far as anybody can tell it is on its way.
        return TransactionState.PROCESSING

    async def _reply(
        self,
        verb: Verb[Request, Out, Reply],
        outcome: Outcome,
        made: Position | None,
        *,
        exists: bool = True,
    ) -> Reply:
        if not isinstance(outcome, verb.outcome):
            if isinstance(outcome, ServiceError):
                raise await self.told(outcome)
            raise _unexpected(outcome)
        if not isinstance(outcome, Posted):
            await self._learn(outcome, made)
        elif outcome.replayed and exists and outcome.state == TransactionState.PROCESSING:
            outcome = await self._as_of_now(outcome)
        reply = verb.reply(cast("Out", outcome), made)
        if not exists:
            replies.without_id(cast("Message", reply), verb.makes)
        if current() is not TRUSTED:
            await self._hide(cast("Message", reply))
        return reply

    async def _hide(self, reply: Message) -> None:
        """Take out the balances that the caller may not read."""
        told = hiding.balance_ids(reply) if confined_to(MOVERS) is not None else ()
        if not told:
            return
        try:
            own = await self._names.owners.own(told)
        except ServiceError:
            own = set()  # What was done stands, whether or not its balances can be told.
        hiding.hide_balances(reply, own)

    async def _learn(self, outcome: Outcome, made: Position | None) -> None:
        """Note what never changes, and know the currency of what the reply tells."""
        if isinstance(outcome, HoldSet):
            if made is not None:
                self._names.known.keep_hold(outcome.hold)
            await self._names.make_sure_of([outcome.hold.currency])
        elif isinstance(outcome, AssetSet):
            if made is not None:
                learn(outcome.currency, outcome.exponent)
        elif isinstance(outcome, WalletSet):
            facts = outcome.facts
            if made is not None and facts.alias:
                # Known at once, whoever asked for it a moment ago.
                alias = alias_of(facts.account_id, facts.alias)
                self._names.known.aliases.keep(alias, facts.wallet_id)
            await self._names.make_sure_of([facts.currency])

    async def _as_of_now(self, posted: Posted) -> Posted:
        """Give a replay its transaction's state of now: its leg may have landed since it began.

        Of several legs its home alone can tell, and has.
        """
        command = posted.command
        if posted.lines or is_system(command.destination):
            return posted
        return posted._replace(state=await self.landed_state(command.ref, command.destination))

    async def _try(
        self, asked: Sequence[Asked], tried: Mapping[int, SingleCommand], deadline: float
    ) -> dict[int, Message | ServiceError]:
        """Tell what commands would come to."""
        found = await self._router.validate(list(tried.values()), deadline)
        outcomes = dict(zip(tried, found, strict=True))
        # What replays a command of this very call replays what was not made.
        first: dict[bytes, Outcome] = {}
        for place, command in tried.items():
            first.setdefault(command.key_hash, outcomes[place])
        return {
            place: await self._tried(
                asked[place].verb, outcomes[place], exists=_exists(first[command.key_hash])
            )
            for place, command in tried.items()
        }

    def _quick(
        self, asked: Sequence[Asked], place: int, answer: Answer
    ) -> Message | ServiceError | None:
        """Write the reply where nothing has to be waited for; it is the way of nearly all."""
        one, outcome = asked[place], answer.outcome
        if isinstance(outcome, ServiceError):
            return outcome
        if one.into is None or one.verb.fill is None or not isinstance(outcome, Posted):
            return None
        if outcome.state == TransactionState.PROCESSING:
            return None
        one.verb.fill(one.into, outcome, position(answer))
        return one.into

    async def _finish(
        self,
        asked: Sequence[Asked],
        commands: Sequence[SingleCommand | ServiceError],
        place: int,
        answer: Answer,
    ) -> Message | ServiceError:
        command = commands[place]
        assert not isinstance(command, ServiceError), "it was queued"
        try:
            answer = await self._router.finish(command, answer)
            return await self.reply(asked[place].verb, answer.outcome, position(answer))
        except ServiceError as error:
            return error

    async def _tried(
        self, verb: AnyVerb, outcome: Outcome, *, exists: bool
    ) -> Message | ServiceError:
        try:
            return await self.reply(verb, outcome, None, exists=exists)
        except ServiceError as error:
            return error


def position(answer: Answer) -> Position:
    """Return where in its shard's stream an answer stands."""
    return Position(shard=answer.shard, seq=answer.seq)


def _never_quick(place: int, answer: Answer) -> None:
    """Leave a reply to ``_finish``, which hides what its caller may not read."""


async def _answered(
    queued: Mapping[int, asyncio.Future[Answer]],
    quick: Callable[[int, Answer], Message | ServiceError | None],
    finish: Callable[[int, Answer], Coroutine[Any, Any, Message | ServiceError]],
) -> dict[int, Message | ServiceError]:
    """Wait for all; a task only for those that ``quick`` can't tell.

    Each is followed from its own answer on: when the last has come, the legs of the first may have
    landed and be forgotten, and late ones, waited for one after the other, would add up.
    """
    results: dict[int, Message | ServiceError] = {}
    slow: dict[int, asyncio.Task[Message | ServiceError]] = {}

    def follow(place: int, future: asyncio.Future[Answer]) -> None:
        if place in results or place in slow or future.cancelled():
            return
        found = quick(place, future.result())
        if found is None:
            slow[place] = asyncio.create_task(finish(place, future.result()))
        else:
            results[place] = found

    for place, future in queued.items():
        future.add_done_callback(partial(follow, place))
    try:
        for place, future in queued.items():
            await future
            follow(place, future)
        return results | dict(zip(slow, await asyncio.gather(*slow.values()), strict=True))
    except asyncio.CancelledError:
        # Nobody waits any more: what has not begun need not begin.
        for future in queued.values():
            future.cancel()
        for task in slow.values():
            task.cancel()
        raise


def deadline_of(context: Context) -> float:
    """Return when the caller stops waiting, by ``time.monotonic``."""
    # None without a deadline, whatever the stubs say.
    remaining = cast("float | None", context.time_remaining())
    return time.monotonic() + (DEFAULT_DEADLINE_S if remaining is None else remaining)


def _exists(outcome: Outcome) -> bool:
    """Tell whether what a command was only tried for was made before, under its key."""
    return isinstance(outcome, SingleOutcome) and outcome.replayed


def check_lines(commands: Sequence[SingleCommand | ServiceError]) -> None:
    """Refuse more postings than one reply can tell, before anything is done."""
    lines = sum(len(one.lines) for one in commands if isinstance(one, PostTransaction))
    if lines > MAX_LINES:
        rule = f"must come to at most {MAX_LINES} postings in all"
        raise invalid_field("commands", f"{lines} postings", rule)


def _unexpected(outcome: Outcome) -> Exception:
    """Say that an outcome is of another kind than its command's: a fault of ours."""
    return TypeError(f"unexpected outcome: {outcome!r}")
