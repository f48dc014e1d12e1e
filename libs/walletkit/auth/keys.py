"""Hold one issuer's keys: refreshed in the background, and when a token names an unknown one."""

import asyncio
import time
from dataclasses import dataclass

import structlog
from jwt import PyJWK

from walletkit.auth.jwks import JwksError, Keys, parse
from walletkit.auth.refusals import StartError, invalid, issuer_unavailable
from walletkit.auth.sources import FetchError, fetch_of, is_url

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Timing:
    """When keys are fetched, in seconds."""

    file_refresh_s: float = 10.0
    url_refresh_s: float = 300.0
    retry_s: float = 5.0
    """After a fetch that failed."""
    unknown_gap_s: float = 10.0
    """Unknown key ids, which anybody can make up, cause no more than one fetch in this time."""
    keep_s: float = 86_400.0
    """Keys are used for so long after they were last fetched, while fetching fails."""


TIMING = Timing()


class IssuerKeys:
    """The keys of one issuer, by id."""

    def __init__(self, issuer: str, place: str, timing: Timing = TIMING) -> None:
        """Name the issuer, and the file or URL of its JWKS; ``start`` fetches it."""
        self._issuer = issuer
        self._place = place
        self._fetch = fetch_of(place)
        self._timing = timing
        self._keys: Keys | None = None
        self._fetched_at = self._tried_at = float("-inf")
        self._fetching: asyncio.Task[bool] | None = None
        self._loop: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Fetch the keys, and go on fetching. Raise ``StartError`` for a file that has none.

        A URL is tried until it answers: the issuer may start later than we do.
        """
        if not is_url(self._place) and not await self._refresh():
            raise StartError(f"issuer {self._issuer}: no keys in {self._place}; see the log")
        self._loop = asyncio.create_task(self._run(), name=f"keys of {self._issuer}")

    async def stop(self) -> None:
        """Fetch no more."""
        tasks = [task for task in (self._loop, self._fetching) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def find(self, kid: str) -> PyJWK:
        """Return a key. Raise CREDENTIALS_INVALID, or ISSUER_UNAVAILABLE without any keys."""
        key = self._current().get(kid) if self._usable() else None
        if key is None and self._may_look_again():
            await self._refresh()
        if not self._usable():
            raise issuer_unavailable(self._issuer)
        key = key or self._current().get(kid)
        if key is None:
            raise invalid("`kid` is none of its issuer's keys")
        return key

    def _usable(self) -> bool:
        return time.monotonic() - self._fetched_at < self._timing.keep_s

    def _current(self) -> Keys:
        return self._keys or {}

    def _may_look_again(self) -> bool:
        """Whether a fetch is under way, which can be joined, or the last is long enough ago."""
        gap_s = time.monotonic() - self._tried_at
        return self._fetching is not None or gap_s >= self._timing.unknown_gap_s

    async def _run(self) -> None:
        regular_s = self._timing.url_refresh_s
        if not is_url(self._place):
            regular_s = self._timing.file_refresh_s
            await asyncio.sleep(regular_s)
        while True:
            fetched = await self._refresh()
            await asyncio.sleep(regular_s if fetched else self._timing.retry_s)

    async def _refresh(self) -> bool:
        """Fetch the keys, together with whoever else wants them now; tell whether it worked."""
        if self._fetching is None:
            self._fetching = asyncio.create_task(self._fetch_once())
            self._fetching.add_done_callback(self._fetched)
        # Who leaves ends it for nobody else.
        return await asyncio.shield(self._fetching)

    def _fetched(self, _task: asyncio.Task[bool]) -> None:
        self._fetching = None

    async def _fetch_once(self) -> bool:
        self._tried_at = time.monotonic()
        try:
            keys = parse(await self._fetch())
        except (FetchError, JwksError) as error:
            log.warning("no keys", issuer=self._issuer, place=self._place, error=str(error))
            return False
        if self._keys is None or self._keys.keys() != keys.keys():
            log.info("keys", issuer=self._issuer, kids=sorted(keys))
        self._keys, self._fetched_at = keys, time.monotonic()
        return True
