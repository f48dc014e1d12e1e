"""Know the id of the call that is being served, where it is kept for later. Pure.

It is a context variable as the principal is, but set by those few handlers alone that record it:
what moves money a thousand times a second does not pay for it.
"""

from contextvars import ContextVar

_current: ContextVar[str] = ContextVar("request_id", default="")


def current_id() -> str:
    """Return the id of the call that is being served; empty where no handler has told it."""
    return _current.get()


def begin(request_id: str) -> None:
    """Serve the rest of this task, and what it starts, as the call with this id."""
    _current.set(request_id)
