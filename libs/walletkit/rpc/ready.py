"""`python -m walletkit.rpc.ready TARGET…`: tell whether everything named is ready; exit 1: not all.

A target is the `host:port` of a service's health, in the clear, or a URL. Each is tried again for a
while, so that it may be asked while things start.
"""

import asyncio
import ssl
import sys
import urllib.error
import urllib.request

import grpc.aio

from walletkit.rpc.health import SERVING, health_of

TRIES = 30
TRY_S = 3.0
PAUSE_S = 0.5


async def wait_ready(target: str) -> str:
    """Return "" as soon as a target is ready, or what it said at the last try."""
    ask = _ask_url if "://" in target else _ask_health
    said = ""
    for tries in range(TRIES):
        if tries:
            await asyncio.sleep(PAUSE_S)
        said = await ask(target)
        if not said:
            break
    return said


async def _ask_health(target: str) -> str:
    async with grpc.aio.insecure_channel(target) as channel:
        try:
            word = await health_of(channel, TRY_S)
        except grpc.aio.AioRpcError as error:
            return error.code().name
    return "" if word == SERVING else word


async def _ask_url(target: str) -> str:
    return await asyncio.to_thread(_get, target)


def _get(url: str) -> str:
    context = ssl.create_default_context()
    # Its certificate is for the name by which the world knows it.
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with urllib.request.urlopen(url, timeout=TRY_S, context=context):  # noqa: S310  # nosec B310
            return ""
    except (OSError, ValueError) as error:
        return str(error)


async def _all(targets: list[str]) -> bool:
    said = await asyncio.gather(*map(wait_ready, targets))
    for target, problem in zip(targets, said, strict=True):
        sys.stdout.write(f"{target}: {problem or 'ready'}\n")
    return not any(said)


if __name__ == "__main__":
    sys.exit(0 if asyncio.run(_all(sys.argv[1:])) else 1)
