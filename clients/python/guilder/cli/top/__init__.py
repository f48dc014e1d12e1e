"""`guilder top`: watch what the services do, from their metrics and health.

``scraping`` asks, ``window`` and ``view`` compute without any I/O, ``show`` draws.
"""

from guilder.cli.top.command import top

__all__ = ["top"]
