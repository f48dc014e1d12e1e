"""Set up structured logs: one JSON object a line on standard output."""

import logging
import sys

import structlog


def setup(level: str, service: str) -> None:
    """Log at ``level`` and above.

    Each line carries time, level, service and what the context binds.
    """
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
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
