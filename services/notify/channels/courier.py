"""Carry out due deliveries.

Many endpoints at once, few calls to each, and fewer to one that keeps failing.

A delivery is claimed under a lease that outlives the call's time limit. So whoever dies between an
endpoint's answer and its settling leaves it to be delivered again, with the same webhook-id.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from notify.channels.registry import Registry
from notify.channels.webhook import Webhooks
from notify.domain.delivery import Reply, RetryPolicy, Verdict, delay_ms, judge, shorten
from notify.domain.render import event_time_us, follower
from notify.domain.subscription import Subscription
from notify.store.dead_letters import DeadLetter, DeadLetters, new_letter_id
from notify.streams.queues import Claimed, Queues
from walletkit import trace
from walletkit.errors import ServiceError
from walletkit.telemetry import tracing
from walletkit.telemetry.metrics import notify as metrics

POLL_S = 0.25
LEASE_MARGIN_S = 10
"""Time for what comes behind a call: to settle it, or to keep a dead letter."""
SUSPECT_FAILURES = 3
"""How many failures in a row make an endpoint suspect.

It is tried by one call at a time then, until one succeeds.
"""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Bounds:
    """How many deliveries at once, in all and to one subscription; the limit of one, seconds."""

    total: int
    per_subscription: int
    timeout_s: float


class Courier:
    """Claims, posts, settles."""

    def __init__(
        self,
        queues: Queues,
        registry: Registry,
        webhooks: Webhooks,
        letters: DeadLetters,
        policy: RetryPolicy,
        bounds: Bounds,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._queues = queues
        self._registry = registry
        self._webhooks = webhooks
        self._letters = letters
        self._policy = policy
        self._bounds = bounds
        self._jitter = jitter
        self._running: set[asyncio.Task[None]] = set()
        self._calls: Counter[str] = Counter()
        self._failures: Counter[str] = Counter()
        self._wake = asyncio.Event()
        self._outcomes = {verdict: metrics.DELIVERIES.of(verdict.value) for verdict in Verdict}
        self._try_seconds = metrics.TRY_SECONDS.of()
        self._delay_seconds = metrics.DELAY_SECONDS.of()
        self._given_up = metrics.DEAD_LETTERS.of("given_up")
        self._spans = tracing.active()
        metrics.UNDER_WAY.of().follow(lambda: len(self._running))

    def wake(self) -> None:
        """Look for due deliveries at once."""
        self._wake.set()

    async def step(self) -> None:
        """Start what is due and there is room for; then wait until there may be more.

        Raise NOTIFY_UNAVAILABLE.
        """
        self._wake.clear()
        index = self._registry.index
        ready = await self._queues.ready(max(len(index.by_id), 1))
        for name in ready.subscriptions:
            item = index.by_id.get(name)
            if item is None:
                await self._drop_orphan(name)
                continue
            room = min(self._room(name), self._bounds.total - len(self._running))
            if room > 0:
                lease_ms = int((self._bounds.timeout_s + LEASE_MARGIN_S) * 1_000)
                for claimed in await self._queues.claim(name, room, lease_ms):
                    self._start(item, claimed)
        wait_s = POLL_S if ready.next_s is None else min(POLL_S, ready.next_s)
        try:
            async with asyncio.timeout(wait_s):
                await self._wake.wait()
        except TimeoutError:
            pass

    async def stop(self, grace_s: float) -> None:
        """Wait for the calls that run, then drop them: they come up again when their leases end."""
        running = tuple(self._running)
        if running:
            await asyncio.wait(running, timeout=grace_s)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    def _room(self, name: str) -> int:
        suspect = self._failures[name] >= SUSPECT_FAILURES
        return (1 if suspect else self._bounds.per_subscription) - self._calls[name]

    def _start(self, item: Subscription, claimed: Claimed) -> None:
        self._calls[claimed.subscription] += 1
        task = asyncio.create_task(self._deliver(item, claimed))
        # The loop's own references are weak.
        self._running.add(task)
        task.add_done_callback(lambda done: self._ended(done, claimed.subscription))

    def _ended(self, task: asyncio.Task[None], name: str) -> None:
        self._running.discard(task)
        self._calls[name] -= 1
        if self._calls[name] <= 0:
            del self._calls[name]
        if not task.cancelled() and (error := task.exception()) is not None:
            expected = isinstance(error, ServiceError)
            # Its lease ends, and it comes up again.
            log.warning(
                "delivery not settled", subscription=name, exc_info=None if expected else error
            )
        self._wake.set()

    async def _deliver(self, item: Subscription, claimed: Claimed) -> None:
        if claimed.attempts >= self._policy.max_attempts:
            # It was given up before, but could not be kept as a dead letter then.
            await self._give_up(item, claimed, claimed.attempts, claimed.last_error)
            return
        began = time.perf_counter()
        reply = await self._try(item, claimed)
        self._try_seconds.observe(time.perf_counter() - began)
        attempts = claimed.attempts + 1
        verdict = judge(reply, attempts, self._policy)
        self._outcomes[verdict].add()
        if verdict is Verdict.DELIVERED:
            self._failures.pop(claimed.subscription, None)
            await self._queues.settle(claimed)
            self._delay_seconds.observe(max(0.0, time.time() - event_time_us(claimed.body) / 1e6))
            return
        self._failures[claimed.subscription] += 1
        self._log(claimed, reply, attempts, verdict)
        error = shorten(reply.error)
        if verdict is Verdict.GIVE_UP:
            await self._give_up(item, claimed, attempts, error)
        else:
            delay = delay_ms(attempts, self._policy, self._jitter())
            await self._queues.postpone(claimed, delay, attempts, error)

    async def _try(self, item: Subscription, claimed: Claimed) -> Reply:
        """Post a delivery once, and tell whoever follows it."""
        above = None if self._spans is None else follower(claimed.body)
        if self._spans is None or above is None:
            return await self._webhooks.post(item.url, item.secret, claimed.event_id, claimed.body)
        with self._spans.request("webhook", above) as told:
            reply = await self._webhooks.post(
                item.url, item.secret, claimed.event_id, claimed.body, trace.current()
            )
            told |= {
                "http.request.method": "POST",
                "guilder.event_id": claimed.event_id,
                "guilder.subscription": claimed.subscription,
                "guilder.attempt": claimed.attempts + 1,
            }
            if reply.status is not None:
                told["http.response.status_code"] = reply.status
            if reply.error:
                # Neither what the endpoint said, which may be anything, nor where it is.
                told[tracing.ERROR] = reply.error.partition(":")[0]
            return reply

    async def _give_up(
        self, item: Subscription, claimed: Claimed, attempts: int, error: str
    ) -> None:
        """Keep a dead letter, then forget the delivery.

        Where it can't be kept now, it will be later.
        """
        now_us = time.time_ns() // 1_000
        letter = DeadLetter(
            dead_letter_id=new_letter_id(),
            event_id=claimed.event_id,
            event_time_us=event_time_us(claimed.body),
            body=claimed.body,
            attempts=attempts,
            last_error=error,
            created_at_us=now_us,
        )
        try:
            await self._letters.add(item.subscription_id, letter)
            self._given_up.add()
        except ServiceError:
            spent = max(attempts, self._policy.max_attempts)
            await self._queues.postpone(claimed, LEASE_MARGIN_S * 1_000, spent, error)
            raise
        await self._queues.settle(claimed)

    async def _drop_orphan(self, name: str) -> None:
        """Drop the queue of a subscription that is not there any more.

        First make sure that this process's index is not only too old.
        """
        index = await self._registry.refresh()
        if name not in index.by_id:
            await self._registry.drop(name)

    def _log(self, claimed: Claimed, reply: Reply, attempts: int, verdict: Verdict) -> None:
        log.warning(
            "delivery failed",
            subscription=claimed.subscription,
            event_id=claimed.event_id,
            attempts=attempts,
            verdict=verdict.value,
            error=shorten(reply.error),
        )
