"""What every rule of a walk shares: it asks, and holds the answer against the model."""

import hashlib
import itertools
import os
import time
from collections import Counter
from datetime import UTC, datetime
from typing import Any, ClassVar

from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis.stateful import Bundle, RuleBasedStateMachine

from guilder.type.v1.money_pb2 import Money
from guilder.wallet.v1 import resources_pb2 as res
from tests.walk.caller import Answer, Caller
from tests.walk.model import Model, Rules, Stages, verdict
from tests.walk.rows import Shards

DRY_EVERY = 7
"""Each seventh call is tried with ``validate_only`` before."""
SELDOM = 4
"""Freezes, limits, new wallets: in one of so many steps."""
_walks = itertools.count()


class Asking(RuleBasedStateMachine):
    """One walk. What it runs on is set from outside, once for all walks of a test."""

    caller: ClassVar[Caller]
    shards: ClassVar[Shards]
    steps: ClassVar[Counter[str]] = Counter()

    wallets = Bundle("wallets")
    holds = Bundle("holds")
    deals = Bundle("deals")

    def __init__(self) -> None:
        """Begin with nothing, under names of this walk's own."""
        super().__init__()
        self.model = Model()
        self.name = f"walk-{os.getpid()}-{next(_walks)}-{time.time_ns()}"
        self.checked = 0
        self.past: list[tuple[str, Any, Answer]] = []
        self.positions: dict[int, Any] = {}
        self.taken = 0

    def seldom(self) -> bool:
        """Tell whether it is time for what would get in the way of all else, came it often."""
        return self.taken % SELDOM == 0

    def account(self, owner: int) -> str:
        """Name an account of this walk, on the shard that its number says.

        Where it lies decides what happens, and hypothesis wants the same choices to do the same.
        """
        names = (f"{self.name}-{owner}-{n}" for n in itertools.count())
        return next(name for name in names if _shard_of(name) == owner % 2)

    def keyed(self, request: Any) -> Any:
        """Give a request a fresh key."""
        request.idempotency_key = self.caller.key()
        return request

    def ask(self, method: str, request: Any, stages: Stages) -> Answer:
        """Ask, at times with a dry run before, and hold the answer against the verdict."""
        allowed = verdict(stages)
        self.keyed(request)
        self.steps[method] += 1
        tried = None
        if sum(self.steps.values()) % DRY_EVERY == 0:
            request.validate_only = True
            tried = self.caller.call(method, request)
            request.ClearField("validate_only")
        answer = self.caller.call(method, request)
        if tried is not None:
            assert tried.reason == answer.reason, (method, request, tried, answer)
        self.past.append((method, request, answer))
        expected = sorted(allowed) or "success"
        assert answer.reason in (allowed or {""}), (method, request, expected, answer)
        self.steps[answer.reason or "OK"] += 1
        if not answer.reason and hasattr(answer.message, "position"):
            self.positions[answer.message.position.shard] = answer.message.position
        return answer

    def alias(self, wallet: str) -> str:
        """Return what a wallet can be called instead of its id."""
        account = self.model.purses[wallet].account
        name = next(n for (_, n), id_ in self.model.aliases.items() if id_ == wallet)
        return f"alias:{account}/{name}"


def _shard_of(account: str) -> int:
    """Return the one of two shards that owns an account's slot."""
    digest = hashlib.md5(account.encode(), usedforsecurity=False).hexdigest()
    return int(digest[:8], 16) % 4096 // 2048


def velocity_of(rules: Rules) -> list[res.VelocityLimit]:
    """Write velocity limits as the API has them."""
    return [
        res.VelocityLimit(
            window=res.VelocityWindow.Value(f"VELOCITY_WINDOW_{window}"),
            basis=res.VelocityBasis.Value(f"VELOCITY_BASIS_{basis}"),
            max_amount_minor=most,
            max_count=count,
        )
        for window, basis, most, count in rules.velocity
    ]


def now() -> datetime:
    """Return the time; a step that would begin right before a full hour waits for it."""
    now = datetime.now(UTC)
    left = 3_600 - now.minute * 60 - now.second
    if left <= 1:
        time.sleep(left + 0.5)
        now = datetime.now(UTC)
    return now


def time_of(moment: datetime) -> Timestamp:
    """Write a time."""
    stamp = Timestamp()
    stamp.FromDatetime(moment)
    return stamp


def money(currency: str, amount: int) -> Money:
    """Write an amount."""
    return Money(currency_code=currency, amount_minor=amount)
