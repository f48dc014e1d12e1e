"""Receive webhooks on a loopback port of this process's own, and check their signatures."""

import asyncio
import json
import secrets
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from aiohttp import web
from standardwebhooks import Webhook, WebhookVerificationError

PATH_PREFIX = "/guilder-demo/"
MAX_DELIVERIES = 100
"""What comes beyond is answered and forgotten."""
SHUTDOWN_SECONDS = 1.0

_SHOWN_HEADERS = ("webhook-id", "webhook-timestamp", "webhook-signature", "content-type")


@dataclass(frozen=True, slots=True)
class Delivery:
    """One webhook as it came."""

    headers: dict[str, str]
    body: dict[str, Any]
    verified: bool


class Receiver:
    """A tiny web server that takes webhooks, each once by its id."""

    def __init__(self) -> None:
        """Make it; entering it starts to listen."""
        self.secret = ""
        """Signing secret of the subscription; without it nothing is accepted."""
        self.url = ""
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

    async def wait(self, count: int, timeout_seconds: float) -> list[Delivery]:
        """Return what came once there are ``count`` webhooks, or what there is when time is up."""
        try:
            async with asyncio.timeout(timeout_seconds):
                while len(self._deliveries) < count:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            pass
        return list(self._deliveries.values())

    async def _receive(self, request: web.Request) -> web.Response:
        """Take a webhook; one whose signature is wrong is refused, and kept to be shown."""
        raw = await request.text()
        headers = {name.lower(): value for name, value in request.headers.items()}
        try:
            Webhook(self.secret).verify(raw, headers)
            body, verified = json.loads(raw), True
        except (WebhookVerificationError, ValueError):
            body, verified = {"unverified": raw}, False
        if len(self._deliveries) < MAX_DELIVERIES:
            shown = {name: headers.get(name, "") for name in _SHOWN_HEADERS}
            self._deliveries.setdefault(shown["webhook-id"], Delivery(shown, body, verified))
            self._changed.set()
        return web.Response(status=204 if verified else 401)
