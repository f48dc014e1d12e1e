"""Whether this process tells a collector of spans, and by what: see ``spans``."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from walletkit.telemetry.spans import Spans

Told = dict[str, str | int]
"""What a span tells, by its name."""
ERROR = "error"
"""The name that says that it failed, and why."""

_active: "Spans | None" = None


def active() -> "Spans | None":
    """Return what tells of spans; None where nobody wants to know."""
    return _active


def since_ns(seconds: float) -> int:
    """Return when something began that took so long until now, nanoseconds since 1970."""
    return time.time_ns() - int(seconds * 1_000_000_000)


@contextmanager
def telling(service: str, endpoint: str | None, ratio: float) -> Iterator[None]:
    """Tell of spans during a block; with no endpoint of none, and nothing is loaded for it."""
    global _active  # noqa: PLW0603  # a process tells one collector
    if endpoint is None:
        yield
        return
    from walletkit.telemetry.spans import exporting  # noqa: PLC0415  # it is large

    with exporting(service, endpoint, ratio) as spans:
        _active = spans
        try:
            yield
        finally:
            _active = None
