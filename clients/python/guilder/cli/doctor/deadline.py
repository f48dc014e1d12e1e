"""Run a check with a deadline, so that a part that is down is a line and no traceback."""

import asyncio
from collections.abc import Awaitable

from guilder.cli.doctor.finding import Finding, fail
from guilder.cli.render import plain

CALL_TIMEOUT_S = 3.0
"""Of one question to a part."""
PART_TIMEOUT_S = 20.0
"""Of all questions to it."""
MAX_SHOWN = 200
"""Characters of an error that are shown."""


async def bounded(
    part: str, check: str, work: Awaitable[list[Finding]], timeout_s: float = PART_TIMEOUT_S
) -> list[Finding]:
    """Return what a check finds; a failure or silence of the part is a finding, too."""
    try:
        async with asyncio.timeout(timeout_s):
            return await work
    except Exception as error:  # noqa: BLE001  # whatever it is, the other parts are looked at
        return [
            fail(
                part,
                check,
                said(error),
                "it could not be looked at",
                "is it up, and does it let this machine and this user in?",
            )
        ]


def said(error: BaseException) -> str:
    """Write an error on one line; one without words by its kind."""
    if isinstance(error, TimeoutError) and not str(error):
        return "no answer in time"
    text = " ".join(plain(str(error)).split()) or type(error).__name__
    return text[:MAX_SHOWN]
