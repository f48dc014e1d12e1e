"""Verify tokens, and remember those that were good: a call then costs a hash and a look-up."""

import asyncio
import hashlib
import json
import re
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, NoReturn

from jwt.api_jws import PyJWS
from jwt.exceptions import PyJWTError

from walletkit.auth.claims import Rules, expiry_s, principal_of
from walletkit.auth.jwks import ALGORITHMS
from walletkit.auth.keys import TIMING, IssuerKeys, Timing
from walletkit.auth.refusals import expired, invalid
from walletkit.principal import Principal

MAX_TOKEN_CHARS = 8_192
MAX_REMEMBERED = 10_000
REMEMBER_S = 60
"""A good token is believed for so long: a key that was withdrawn counts no longer than that."""

_SCHEME = "bearer "
_TOKEN = re.compile(rb"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_JWS = PyJWS(algorithms=ALGORITHMS)
_MALFORMED = "is no signed JWT"


@dataclass(frozen=True, slots=True)
class Issuer:
    """Whose tokens are believed, where its JWKS is, and which subjects are the suite's own."""

    name: str
    jwks: str
    internal_subjects: frozenset[str] = frozenset()


class _Known(NamedTuple):
    principal: Principal
    expires_s: float
    until_s: float


class Verifier:
    """Turns a token into the principal that it speaks for."""

    def __init__(
        self,
        issuers: Sequence[Issuer],
        audience: str,
        timing: Timing = TIMING,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Name who is believed; ``start`` fetches their keys."""
        self._clock = clock
        self._rules = {
            issuer.name: Rules(issuer.name, audience, issuer.internal_subjects)
            for issuer in issuers
        }
        self._keys = {
            issuer.name: IssuerKeys(issuer.name, issuer.jwks, timing) for issuer in issuers
        }
        self._known: OrderedDict[bytes, _Known] = OrderedDict()

    async def start(self) -> None:
        """Fetch keys, and go on fetching. Raise ``StartError``."""
        for keys in self._keys.values():
            await keys.start()

    async def stop(self) -> None:
        """Fetch no more."""
        await asyncio.gather(*(keys.stop() for keys in self._keys.values()))

    async def verify(self, credential: str) -> Principal:
        """Return the principal of the value of ``authorization``.

        Raise CREDENTIALS_INVALID, CREDENTIALS_EXPIRED or ISSUER_UNAVAILABLE.
        """
        if len(credential) > MAX_TOKEN_CHARS:
            raise invalid(f"is longer than {MAX_TOKEN_CHARS} characters")
        if credential[: len(_SCHEME)].lower() != _SCHEME or not credential.isascii():
            raise invalid("must be given as `Bearer <token>`")
        token = credential[len(_SCHEME) :].encode()
        if _TOKEN.fullmatch(token) is None:
            # One token has one spelling: each other one would cost a proof, and a place in memory.
            raise invalid(_MALFORMED)
        digest = hashlib.sha256(token).digest()
        now_s = self._clock()
        known = self._known.get(digest)
        if known is not None and now_s < known.until_s:
            self._known.move_to_end(digest)
            return known.principal
        if known is not None and known.expires_s <= now_s:
            raise expired()
        return await self._judge(token, digest)

    def remaining_s(self, credential: str) -> float:
        """Return for how long the token of a credential that ``verify`` has believed is good."""
        _, claims = _read(credential[len(_SCHEME) :].encode())
        return expiry_s(claims) - self._clock()

    async def _judge(self, token: bytes, digest: bytes) -> Principal:
        """Do all the work: read, find the key, prove the signature, judge the claims."""
        header, claims = _read(token)
        issuer, kid = claims.get("iss"), header.get("kid")
        if not isinstance(issuer, str) or issuer not in self._keys:
            raise invalid("`iss` is no issuer that is trusted here")
        if header.get("alg") not in ALGORITHMS:
            raise invalid(f"`alg` must be one of {', '.join(ALGORITHMS)}")
        if not isinstance(kid, str):
            raise invalid("`kid` is missing")
        key = await self._keys[issuer].find(kid)
        if header["alg"] != key.algorithm_name:
            raise invalid("`alg` is not its key's")
        try:
            _JWS.decode_complete(token, key, algorithms=[key.algorithm_name])
        except (PyJWTError, ValueError, TypeError):
            raise invalid("its signature is wrong") from None
        now_s = self._clock()
        principal = principal_of(claims, self._rules[issuer], now_s)
        self._remember(digest, principal, expiry_s(claims), now_s)
        return principal

    def _remember(
        self, digest: bytes, principal: Principal, expires_s: float, now_s: float
    ) -> None:
        self._known[digest] = _Known(principal, expires_s, min(expires_s, now_s + REMEMBER_S))
        self._known.move_to_end(digest)
        if len(self._known) > MAX_REMEMBERED:
            self._known.popitem(last=False)


def _read(token: bytes) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Return header and claims, of which nothing is proved yet. Raise CREDENTIALS_INVALID."""
    try:
        parts = _JWS.decode_complete(token, options={"verify_signature": False})
        header = parts["header"]
        claims = json.loads(parts["payload"], parse_constant=_refuse_constant)
    except (PyJWTError, ValueError, TypeError, RecursionError):
        raise invalid(_MALFORMED) from None
    if not isinstance(claims, dict):
        raise invalid(_MALFORMED)
    if "crit" in header or "b64" in header:
        raise invalid("`crit` and `b64` are not understood")
    return header, claims


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)
