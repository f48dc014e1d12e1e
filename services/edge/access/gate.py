"""Decide about a call's credential: an API key or a signature becomes a token, or it is refused.

A refusal says nothing that helps to guess: an unknown id, a wrong secret and a key that has ended
are the same to the caller, and cost the same. The log has the difference.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass

import structlog

from edge.access.issuer import Issuer
from edge.access.keyring import Keyring
from edge.access.sealing import Sealer, UnsealError
from edge.access.uses import Uses
from edge.counters.connection import CountersDownError
from edge.counters.nonces import Nonces
from edge.domain import signature
from edge.domain.key import Key, Kind, State, is_secret_of, read_bearer
from walletkit.errors import ServiceError
from walletkit.telemetry.metrics import edge as metrics

API_KEY_HEADER = "x-api-key"
AUTHORIZATION_HEADER = "authorization"
KEPT_MS = 2_000
"""How long Envoy may use the token of an API key without asking again. With what the keyring and
the issuer keep that makes 10 s until a revoked key is refused, and 20 s that a token has left."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Attempt:
    """A call as it came; ``body`` is None where Envoy was not told to pass it on."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes | None


@dataclass(frozen=True, slots=True)
class Grant:
    """The call passes: with this token, if it has one, and without these headers."""

    token: str = ""
    remove: tuple[str, ...] = ()
    kept_ms: int = 0
    """How long the same credential may get the same answer; 0: each call is asked about."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """The call does not pass, for a reason that its caller may know."""

    message: str
    retry: bool = False
    """Whether it can't be decided now: that is no fault of the caller's."""


class Gate:
    """Checks credentials."""

    def __init__(
        self,
        *,
        keyring: Keyring,
        sealer: Sealer,
        nonces: Nonces,
        issuer: Issuer,
        uses: Uses,
        window_s: int,
    ) -> None:
        self._keyring = keyring
        self._sealer = sealer
        self._nonces = nonces
        self._issuer = issuer
        self._uses = uses
        self._window_s = window_s
        self._seconds = metrics.DECISION_SECONDS.of()
        self._decisions = {
            name: metrics.DECISIONS.of(name)
            for name in ("passed", "granted", "refused", "undecided")
        }

    async def check(self, attempt: Attempt) -> Grant | Refusal:
        """Decide. A call without a credential of edge's passes as it is: tokens are Envoy's."""
        began = time.perf_counter()
        decided = await self._check(attempt)
        self._decisions[_name(decided)].add()
        self._seconds.observe(time.perf_counter() - began)
        return decided

    async def _check(self, attempt: Attempt) -> Grant | Refusal:
        has_key = API_KEY_HEADER in attempt.headers
        signed = signature.is_signed(attempt.headers)
        if not (has_key or signed):
            return Grant()
        if has_key + signed + (AUTHORIZATION_HEADER in attempt.headers) > 1:
            text = "give one credential: authorization, x-api-key or a signature"
            return _refuse("several credentials", text)
        try:
            if has_key:
                return await self._check_bearer(attempt.headers[API_KEY_HEADER])
            return await self._check_signed(attempt)
        except (ServiceError, CountersDownError) as error:
            # Closed when it is not known: a nonce that can't be noted could be used again.
            log.warning("credential not checked", error=str(error))
            return Refusal("credentials can't be checked now; retry", retry=True)

    async def _check_bearer(self, text: str) -> Grant | Refusal:
        now_us = time.time_ns() // 1_000
        credential = read_bearer(text)
        if credential is None:
            return _refuse("malformed", "the API key is not valid")
        key = await self._keyring.find(credential.key_id)
        if not is_secret_of(key, credential.secret, now_us):
            return _refuse("unknown key or wrong secret", "the API key is not valid", key)
        assert key is not None, "nobody's secret is never right"
        if (state := key.state(now_us)) is not State.ACTIVE:
            return _refuse(state.value, "the API key is not valid", key)
        left_ms = (key.expires_at_us - now_us) // 1_000 if key.expires_at_us else KEPT_MS
        return self._grant(key, now_us, (API_KEY_HEADER,), min(left_ms, KEPT_MS))

    async def _check_signed(self, attempt: Attempt) -> Grant | Refusal:
        """Check form and time, then the signature, and only then take the nonce.

        The other way round anybody could use up nonces.
        """
        if attempt.body is None:
            text = "calls of this kind can't be signed: use a token or an API key"
            return _refuse("without a body", text)
        now_us = time.time_ns() // 1_000
        try:
            signed = signature.read(attempt.method, attempt.path, attempt.headers, attempt.body)
        except signature.MalformedError as error:
            return _refuse("malformed signature", str(error))
        if not signature.is_timely(signed, now_us, self._window_s):
            rule = f"must be within {self._window_s} s of now"
            return _refuse("untimely", f"{signature.TIMESTAMP_HEADER}: {rule}")
        key = await self._keyring.find(signed.key_id)
        if not signature.is_valid(signed, self._secrets(key, now_us)):
            return _refuse("unknown key or wrong signature", "the signature is not valid", key)
        assert key is not None, "nobody's signature is never right"
        if (state := key.state(now_us)) is not State.ACTIVE:
            return _refuse(state.value, "the signature is not valid", key)
        retention_ms = signature.retention_ms(self._window_s)
        if not await self._nonces.take(key.key_id, signed.nonce, retention_ms):
            return _refuse("replayed", f"{signature.NONCE_HEADER}: was used before", key)
        return self._grant(key, now_us, signature.HEADERS)

    def _secrets(self, key: Key | None, now_us: int) -> list[bytes]:
        if key is None or key.kind is not Kind.SIGNING:
            return []
        try:
            return [self._sealer.unseal(key.key_id, sealed) for sealed in key.kept(now_us)]
        except UnsealError:
            log.exception("a key can't be used: is EDGE_SEALING_KEY_FILE the one of its making?")
            return []

    def _grant(self, key: Key, now_us: int, remove: tuple[str, ...], kept_ms: int = 0) -> Grant:
        self._uses.note(key.key_id, now_us)
        return Grant(self._issuer.token(key, now_us), remove, kept_ms)


def _name(decided: Grant | Refusal) -> str:
    """Name a decision, as the metrics do."""
    if isinstance(decided, Grant):
        return "granted" if decided.token else "passed"
    return "undecided" if decided.retry else "refused"


def _refuse(cause: str, message: str, key: Key | None = None) -> Refusal:
    """Refuse, and log why; a key's id is no secret."""
    metrics.REFUSALS.of(cause).add()
    log.info("credential refused", cause=cause, key_id="" if key is None else key.key_id.hex())
    return Refusal(message)
