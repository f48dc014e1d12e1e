"""Decide what becomes of a delivery: done, tried again, given up; and when. Pure."""

from dataclasses import dataclass
from enum import Enum

_GONE = 410
_SUCCESS = range(200, 300)
MAX_ERROR_LENGTH = 256


class Verdict(Enum):
    """What becomes of a delivery after a try."""

    DELIVERED = "delivered"
    RETRY = "retry"
    GIVE_UP = "give_up"


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often, and how far apart, a delivery is tried.

    Exponential backoff: the ceiling of the first wait, its growth, its cap.
    """

    base_ms: int
    factor: float
    cap_ms: int
    max_attempts: int


@dataclass(frozen=True, slots=True)
class Reply:
    """What a try met: the endpoint's status, or None and why there was none."""

    status: int | None
    error: str


def judge(reply: Reply, attempts: int, policy: RetryPolicy) -> Verdict:
    """Decide after ``attempts`` tries.

    Any 2xx is success, 410 ends at once, all else is tried again.
    """
    if reply.status in _SUCCESS:
        return Verdict.DELIVERED
    if reply.status == _GONE or attempts >= policy.max_attempts:
        return Verdict.GIVE_UP
    return Verdict.RETRY


def ceiling_ms(attempts: int, policy: RetryPolicy) -> int:
    """Return the longest wait after ``attempts`` failed tries (1 or more), without overflow."""
    wait = float(policy.base_ms)
    for _ in range(attempts - 1):
        wait *= policy.factor
        if wait >= policy.cap_ms:
            break
    return min(int(wait), policy.cap_ms)


def delay_ms(attempts: int, policy: RetryPolicy, fraction: float) -> int:
    """Return how long to wait, ms, after ``attempts`` failed tries.

    Full jitter, ``fraction`` in [0, 1) of the ceiling.

    Source: "Exponential Backoff And Jitter", AWS Architecture Blog.
    """
    return int(ceiling_ms(attempts, policy) * fraction)


def shorten(error: str) -> str:
    """Cut an error's text to what is kept of it, on one line."""
    return " ".join(error.split())[:MAX_ERROR_LENGTH]
