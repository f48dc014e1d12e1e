"""Receive webhooks on a loopback port of this process's own, and check their signatures."""

import asyncio
import json
import secrets
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from aiohttp import web
from standardwebhooks import Webhook, WebhookVerificationError

PATH_PREFIX = "/guilder-demo/"
MAX_DELIVERIES = 100
"""What comes beyond is answered and forgotten."""
SHUTDOWN_SECONDS = 1.0
SECRET_SECONDS = 5.0
"""A webhook may be faster than the reply that tells its secret: it waits so long."""

_SHOWN_HEADERS = ("webhook-id", "webhook-timestamp", "webhook-signature", "content-type")


@dataclass(frozen=True, slots=True)
class Delivery:
    """One webhook as it came."""

    headers: dict[str, str]
    body: dict[str, Any]
    verified: bool

    @property
    def type(self) -> str:
        """Type of the event; empty where the body is not to be trusted."""
        return str(self.body.get("type", ""))


class Receiver:
    """A tiny web server that takes webhooks, each once by its id."""

    def __init__(self) -> None:
        """Make it; entering it starts to listen."""
        self.url = ""
        self._secret: Webhook | None = None
        self._secret_known = asyncio.Event()
        self._path = PATH_PREFIX + secrets.token_hex(8)
        self._deliveries: dict[str, Delivery] = {}
        self._changed = asyncio.Event()
        app = web.Application()
        app.router.add_post(self._path, self._receive)
        self._runner = web.AppRunner(app, shutdown_timeout=SHUTDOWN_SECONDS, access_log=None)

    async def __aenter__(self) -> Self:
        """Listen on a free loopback port."""
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        _host, port = self._runner.addresses[0][:2]
        self.url = f"http://127.0.0.1:{port}{self._path}"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop listening."""
        await self._runner.cleanup()

    def trust(self, secret: str) -> None:
        """Set the signing secret of the subscription; without it nothing is accepted."""
        self._secret = Webhook(secret)
        self._secret_known.set()

    async def wait(
        self, enough: Callable[[list[Delivery]], bool], timeout_seconds: float
    ) -> list[Delivery]:
        """Return what came once it is enough, or what there is when time is up."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_seconds):
                while not enough(list(self._deliveries.values())):
                    self._changed.clear()
                    await self._changed.wait()
        return list(self._deliveries.values())

    async def _receive(self, request: web.Request) -> web.Response:
        """Take a webhook; one whose signature is wrong is refused, and kept to be shown."""
        raw = await request.text()
        headers = {name.lower(): value for name, value in request.headers.items()}
        verified = await self._is_genuine(raw, headers)
        shown = {name: headers.get(name, "") for name in _SHOWN_HEADERS}
        known = self._deliveries.get(shown["webhook-id"])
        if len(self._deliveries) < MAX_DELIVERIES and not (known and known.verified):
            body = json.loads(raw) if verified else {"unverified": raw}
            self._deliveries[shown["webhook-id"]] = Delivery(shown, body, verified)
            self._changed.set()
        return web.Response(status=204 if verified else 401)

    async def _is_genuine(self, raw: str, headers: dict[str, str]) -> bool:
        with suppress(TimeoutError, WebhookVerificationError, ValueError):
            async with asyncio.timeout(SECRET_SECONDS):
                await self._secret_known.wait()
            assert self._secret is not None
            self._secret.verify(raw, headers)
            return True
        return False
