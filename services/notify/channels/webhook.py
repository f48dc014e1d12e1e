"""Post an event to an endpoint, signed by the Standard Webhooks specification.

Source: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import asyncio
import base64
import secrets
from datetime import UTC, datetime

import aiohttp
from standardwebhooks import Webhook
from yarl import URL

from notify.channels.resolver import CheckedResolver
from notify.domain.delivery import Reply
from notify.domain.target import is_private_host
from walletkit.trace import TRACEPARENT, Span, write

SECRET_BYTES = 32
READ_BYTES = 512
"""So much of a refusal's body is read, to be shown with a dead letter."""

_SUCCESS = range(200, 300)
_PREFIX = "whsec_"
_USER_AGENT = "guilder-notify/1"


class Webhooks:
    """Posts events. Follows no redirect, uses no proxy, keeps no cookie."""

    def __init__(self, *, allow_private: bool, timeout_s: float, connections: int) -> None:
        self._allow_private = allow_private
        self._timeout_s = timeout_s
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                resolver=CheckedResolver(allow_private=allow_private),
                use_dns_cache=False,
                limit=connections,
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            # The deadline is set around the whole call, below.
            timeout=aiohttp.ClientTimeout(total=None),
        )

    async def post(
        self, url: str, secret: str, event_id: str, body: bytes, span: Span | None = None
    ) -> Reply:
        """Try once, within the time limit; whatever goes wrong is in the reply.

        A span, where somebody follows it, is told to the endpoint.
        """
        target = URL(url)
        if not self._allow_private and is_private_host(target.host or ""):
            return Reply(None, "the target is a private address")
        headers = {
            "content-type": "application/json",
            "user-agent": _USER_AGENT,
            **sign(secret, event_id, body, datetime.now(UTC)),
        }
        if span is not None:
            headers[TRACEPARENT] = write(span)
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._post(target, headers, body)
        except TimeoutError:
            return Reply(None, f"no answer within {self._timeout_s:g} s")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return Reply(None, f"{type(error).__name__}: {error}")

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()

    async def _post(self, target: URL, headers: dict[str, str], body: bytes) -> Reply:
        async with self._session.post(
            target, data=body, headers=headers, allow_redirects=False
        ) as response:
            if response.status in _SUCCESS:
                return Reply(response.status, "")
            said = await response.content.read(READ_BYTES)
            return Reply(response.status, f"{response.status}: {said.decode(errors='replace')}")


def sign(secret: str, event_id: str, body: bytes, now: datetime) -> dict[str, str]:
    """Return the headers that identify and sign a message; ``now`` is aware."""
    return {
        "webhook-id": event_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(secret).sign(event_id, now, body.decode()),
    }


def new_secret() -> str:
    """Make a signing secret."""
    return _PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()
