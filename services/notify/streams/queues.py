"""The delivery queues: put, claim, settle, postpone. They survive a kill of any process.

A claimed delivery stays queued under a lease; whoever dies with it lets it come up again when the
lease ends.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from notify.streams import keys, scripts
from notify.streams.connection import Client, guarded
from walletkit.trace import Span

CHUNK = 256
"""Most deliveries in one script: Redis does nothing else meanwhile."""


@dataclass(frozen=True, slots=True)
class Queued:
    """A delivery to be queued; ``seq`` is its record's."""

    subscription: str
    seq: int
    event_id: str
    body: bytes
    follower: Span | None = None
    """Who follows it; they are told of it from when its record was committed, microseconds."""
    time_us: int = 0


@dataclass(frozen=True, slots=True)
class Claimed:
    """A delivery to be tried now: failed tries so far, and the last error."""

    subscription: str
    event_id: str
    body: bytes
    attempts: int
    last_error: str


@dataclass(frozen=True, slots=True)
class Step:
    """A move of a shard's ``sent``, valid while that and the generation are as expected."""

    shard: int
    expected: int
    new: int
    generation: int


@dataclass(frozen=True, slots=True)
class CatchUp:
    """A move of a lagging subscription."""

    shard: int
    subscription: str
    expected: int
    new: int


@dataclass(frozen=True, slots=True)
class Ready:
    """Subscriptions with due deliveries, and seconds until another one has (None: none waits)."""

    subscriptions: list[str]
    next_s: float | None


class Queues:
    """One atomic step a method.

    Every call raises NOTIFY_UNAVAILABLE while Redis does not answer.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._scripts = {
            text: client.register_script(text)
            for text in (
                *(scripts.DISPATCH, scripts.CATCH_UP, scripts.REPLAY, scripts.ACTIVATE),
                *(scripts.DROP, scripts.CLAIM, scripts.SETTLE, scripts.POSTPONE, scripts.READY),
            )
        }

    async def generation(self) -> int:
        """Return the number of changes of the subscriptions."""
        with guarded():
            return int(await self._client.get(keys.GENERATION) or 0)

    async def sent(self, shard: int) -> int:
        """Return up to which record deliveries are queued."""
        with guarded():
            return int(await self._client.get(keys.sent(shard)) or 0)

    async def lagging(self, shard: int) -> dict[str, int]:
        """Return where each lagging subscription goes on."""
        with guarded():
            found = await self._client.hgetall(keys.lag(shard))
        return {sub.decode(): int(seq) for sub, seq in found.items()}

    async def length(self, subscription: str) -> int:
        """Return how many deliveries a subscription's queue holds."""
        with guarded():
            return int(await self._client.zcard(keys.due(subscription)))

    async def dispatch(self, step: Step, queued: Sequence[Queued], limit: int) -> bool:
        """Queue deliveries and move ``sent``.

        False, with nothing done, when the expectations failed.
        """
        names = [keys.sent(step.shard), keys.GENERATION, keys.lag(step.shard), keys.WAKE]
        arguments: list[Any] = [keys.DUE_PREFIX, keys.BODY_PREFIX]
        arguments += [step.expected, step.new, step.generation, limit]
        for item in queued:
            arguments += (item.subscription, item.seq, item.event_id, item.body)
        _sent, done = await self._run(scripts.DISPATCH, names, arguments)
        return bool(done)

    async def catch_up(self, move: CatchUp, queued: Iterable[Queued]) -> bool:
        """Queue deliveries that a lagging subscription missed.

        False when another process was faster.
        """
        names = [keys.sent(move.shard), keys.lag(move.shard), keys.WAKE]
        arguments: list[Any] = [keys.DUE_PREFIX, keys.BODY_PREFIX]
        arguments += [move.subscription, move.expected, move.new]
        for item in queued:
            arguments += (item.event_id, item.body)
        return bool(await self._run(scripts.CATCH_UP, names, arguments))

    async def replay(self, subscription: str, queued: Sequence[tuple[str, bytes]]) -> int:
        """Queue deliveries (event id, body) that are not queued now, and return how many."""
        arguments: list[Any] = [keys.DUE_PREFIX, keys.BODY_PREFIX, subscription]
        for event_id, body in queued:
            arguments += (event_id, body)
        return int(await self._run(scripts.REPLAY, [keys.WAKE], arguments))

    async def activate(self, subscription: str, starts: Mapping[int, int]) -> None:
        """Make a new subscription known to every process, from its starts on."""
        names = [keys.GENERATION, *(keys.sent(shard) for shard in starts)]
        arguments: list[Any] = [keys.LAG_PREFIX, subscription]
        for place in starts.items():
            arguments += place
        await self._run(scripts.ACTIVATE, names, arguments)

    async def drop(self, subscription: str, shards: Iterable[int]) -> None:
        """Forget all about a subscription, and make every process forget it."""
        names = [keys.GENERATION, keys.WAKE, keys.due(subscription), keys.body(subscription)]
        names += [keys.tries(subscription), *(keys.lag(shard) for shard in shards)]
        await self._run(scripts.DROP, names, [subscription])

    async def ready(self, limit: int) -> Ready:
        """Return who has due deliveries, longest due first."""
        wait_ms, found = await self._run(scripts.READY, [keys.WAKE], [limit])
        next_s = None if wait_ms < 0 else wait_ms / 1_000
        return Ready([subscription.decode() for subscription in found], next_s)

    async def claim(self, subscription: str, limit: int, lease_ms: int) -> list[Claimed]:
        """Take due deliveries for the length of a lease."""
        found = await self._run(scripts.CLAIM, _of(subscription), [subscription, limit, lease_ms])
        return [_claimed(subscription, *fields) for fields in found]

    async def settle(self, claimed: Claimed) -> None:
        """Forget a delivery: it was delivered, or is a dead letter now."""
        names = _of(claimed.subscription)
        await self._run(scripts.SETTLE, names, [claimed.subscription, claimed.event_id])

    async def postpone(self, claimed: Claimed, delay_ms: int, attempts: int, error: str) -> None:
        """Note a failed try and make the delivery due again later, unless it was dropped."""
        arguments = [claimed.subscription, claimed.event_id, delay_ms, f"{attempts}\n{error}"]
        await self._run(scripts.POSTPONE, _of(claimed.subscription), arguments)

    async def _run(self, script: str, names: list[str], arguments: list[Any]) -> Any:  # noqa: ANN401  # what Lua returns
        with guarded():
            return await self._scripts[script](keys=names, args=arguments)


def _of(subscription: str) -> list[str]:
    own = (keys.due(subscription), keys.body(subscription), keys.tries(subscription))
    return [keys.WAKE, *own]


def _claimed(subscription: str, event_id: bytes, body: bytes, tries: bytes) -> Claimed:
    attempts, _, error = tries.decode(errors="replace").partition("\n")
    return Claimed(subscription, event_id.decode(), body, int(attempts or 0), error)
