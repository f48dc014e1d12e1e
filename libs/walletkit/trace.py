"""Know the trace that what is being done is a part of, where somebody follows it. Pure.

Source: W3C Trace Context, https://www.w3.org/TR/trace-context/ (version 00 of ``traceparent``).
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple

TRACEPARENT = "traceparent"
_FORM = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.ASCII)
_NO_VERSION = "ff"
_SAMPLED = 1


class Span(NamedTuple):
    """A place in a trace that is followed: what is done because of it hangs below."""

    trace_id: bytes
    """16 bytes."""
    span_id: bytes
    """8 bytes."""


_current: ContextVar[Span | None] = ContextVar("span", default=None)


def current() -> Span | None:
    """Return the span of what is being done; None where nobody follows it."""
    return _current.get()


def begin(span: Span) -> None:
    """Do the rest of this task, and what it starts, below a span."""
    _current.set(span)


@contextmanager
def below(span: Span | None) -> Iterator[None]:
    """Do what is inside below a span, or below none."""
    token = _current.set(span)
    try:
        yield
    finally:
        _current.reset(token)


def read(traceparent: str | bytes) -> Span | None:
    """Return the caller's span; None where its trace is not followed, or the text is malformed."""
    if isinstance(traceparent, bytes):
        return None
    found = _FORM.fullmatch(traceparent)
    if found is None:
        return None
    version, trace_id, span_id, flags, rest = found.groups()
    if version == _NO_VERSION or (version == "00" and rest):
        return None
    if not int(flags, 16) & _SAMPLED or not int(trace_id, 16) or not int(span_id, 16):
        return None
    return Span(bytes.fromhex(trace_id), bytes.fromhex(span_id))


def write(span: Span) -> str:
    """Return the ``traceparent`` that tells of a span."""
    return f"00-{span.trace_id.hex()}-{span.span_id.hex()}-0{_SAMPLED}"
