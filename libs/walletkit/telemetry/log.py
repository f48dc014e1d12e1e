"""Set up structured logs: one JSON object a line on standard output."""

import logging
import sys

import structlog
from structlog.typing import EventDict, WrappedLogger

from walletkit import request, trace


def setup(level: str, service: str) -> None:
    """Log at ``level`` and above.

    Each line carries time, level, service, what the context binds, and where they are known the ids
    of the call and of its trace.
    """
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            place,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level)),
        logger_factory=structlog.PrintLoggerFactory(sys.stdout),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(service=service)
    # The driver logs every note of a server as bare text, such as that a database exists already.
    logging.getLogger("asyncmy").setLevel(logging.ERROR)


def place(_logger: WrappedLogger, _method: str, line: EventDict) -> EventDict:
    """Say on which call a line is, and in which trace."""
    if request_id := request.current_id():
        line.setdefault("request_id", request_id)
    if (span := trace.current()) is not None:
        line["trace_id"], line["span_id"] = span.trace_id.hex(), span.span_id.hex()
    return line
