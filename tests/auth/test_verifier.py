"""Tokens: what is believed, and everything that is not; nothing of a token is ever repeated."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.auth.issuing import ISSUER, Signer, claims, jwk, new_key, verifier_of, write
from walletkit.auth import verifier as module
from walletkit.auth.verifier import Verifier
from walletkit.errors import ServiceError
from walletkit.principal import Principal, Role

SIGNER = Signer()


@asynccontextmanager
async def verifying(folder: Path, *signers: Signer) -> AsyncIterator[Verifier]:
    """Run a verifier of the keys of some signers."""
    path = write(folder, *(signer.jwk for signer in signers or (SIGNER,)))
    verifier = await verifier_of(path, "system:serviceaccount:guilder:relay")
    try:
        yield verifier
    finally:
        await verifier.stop()


async def refusal(verifier: Verifier, credential: str) -> ServiceError:
    """Return why a credential is refused."""
    with pytest.raises(ServiceError) as caught:
        await verifier.verify(credential)
    return caught.value


def raw(header: object, payload: object, signature: bytes = b"") -> str:
    """Write a token by hand."""
    parts = (json.dumps(header).encode(), json.dumps(payload).encode(), signature)
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
async def test_a_good_token_is_believed(tmp_path: Path, algorithm: str) -> None:
    """Each algorithm's tokens give client id and roles, and so does the memory of them."""
    signer = Signer(algorithm)
    async with verifying(tmp_path, signer) as verifier:
        credential = f"Bearer {signer.token('operator', 'auditor', 'staff@elsewhere')}"
        expected = Principal("tester", frozenset((Role.OPERATOR, Role.AUDITOR)))
        assert await verifier.verify(credential) == expected
        assert await verifier.verify(credential.replace("Bearer", "bearer")) == expected


async def test_a_customer_has_one_account(tmp_path: Path) -> None:
    """The account counts for a customer only, who needs one and has no other role."""
    async with verifying(tmp_path) as verifier:
        token = SIGNER.token("customer", account_id="alice")
        expected = Principal("tester", frozenset((Role.CUSTOMER,)), "alice")
        assert await verifier.verify(f"Bearer {token}") == expected
        operator = SIGNER.token("operator", account_id="alice")
        assert (await verifier.verify(f"Bearer {operator}")).account_id == ""
        for said in (
            claims("customer"),
            claims("customer", account_id="a/b"),
            claims("customer", account_id=["alice"]),
            claims("customer", "operator", account_id="alice"),
        ):
            error = await refusal(verifier, f"Bearer {SIGNER.sign(said)}")
            assert error.reason == "CREDENTIALS_INVALID"


async def test_who_acts_is_told_with_the_api_key(tmp_path: Path) -> None:
    """All keys of a client are one client; the log tells them apart. Others have no such claim."""
    key_id = "01900000-0000-7000-8000-000000000001"
    async with verifying(tmp_path) as verifier:
        found = await verifier.verify(f"Bearer {SIGNER.token(sub='key:web', key_id=key_id)}")
        assert (found.client_id, found.actor) == ("key:web", f"key:web/{key_id}")
        other = await verifier.verify(f"Bearer {SIGNER.token(key_id=key_id)}")
        assert (other.client_id, other.actor) == ("tester", "tester")


async def test_internal_follows_from_the_subject_alone(tmp_path: Path) -> None:
    """No token can claim the role; the subjects that the settings name have it, and no other."""
    async with verifying(tmp_path) as verifier:
        claimed = await verifier.verify(f"Bearer {SIGNER.token('internal', 'auditor')}")
        assert claimed.roles == {Role.AUDITOR}
        relay = SIGNER.token(sub="system:serviceaccount:guilder:relay", roles=None)
        assert (await verifier.verify(f"Bearer {relay}")).roles == {Role.INTERNAL}
        other = SIGNER.token(sub="system:serviceaccount:guilder:other", roles=None)
        assert (await verifier.verify(f"Bearer {other}")).roles == frozenset()


NOW = int(time.time())
BAD_CLAIMS: dict[str, dict[str, Any]] = {
    "no exp": {"exp": None},
    "exp as text": {"exp": str(NOW + 600)},
    "exp with a fraction": {"exp": NOW + 600.5},
    "exp is NaN": {"exp": float("nan")},
    "exp is infinite": {"exp": float("inf")},
    "exp is true": {"exp": True},
    "exp beyond time": {"exp": 2**60},
    "exp below zero": {"exp": -1},
    "nbf in the future": {"nbf": NOW + 300},
    "nbf is NaN": {"nbf": float("nan")},
    "nbf as text": {"nbf": "0"},
    "iat in the future": {"iat": NOW + 300},
    "wrong audience": {"aud": "another"},
    "wrong audiences": {"aud": ["another", "third"]},
    "no audience": {"aud": None},
    "wrong issuer": {"iss": "https://evil.test"},
    "issuer as a list": {"iss": [ISSUER]},
    "no issuer": {"iss": None},
    "no subject": {"sub": None},
    "empty subject": {"sub": ""},
    "long subject": {"sub": "x" * 129},
    "subject with a line": {"sub": "a\nb"},
    "subject of an API key without one": {"sub": "key:web"},
    "API key that is no id": {"sub": "key:web", "key_id": "web"},
    "roles as text": {"roles": "operator"},
    "roles of numbers": {"roles": [1]},
    "too many roles": {"roles": ["operator"] * 33},
}


@pytest.mark.parametrize("name", BAD_CLAIMS)
async def test_what_a_token_may_not_say(tmp_path: Path, name: str) -> None:
    """A well-signed token with a claim that is missing, malformed or not for us is refused."""
    async with verifying(tmp_path) as verifier:
        token = SIGNER.token(**BAD_CLAIMS[name])
        error = await refusal(verifier, f"Bearer {token}")
        assert (error.reason, error.code) == ("CREDENTIALS_INVALID", "UNAUTHENTICATED")
        assert_untold(error, token)


async def test_an_expired_token_has_its_own_reason(tmp_path: Path) -> None:
    """It tells the caller to get a new one; and a token that was believed expires as well."""
    now = [float(NOW)]
    path = write(tmp_path, SIGNER.jwk)
    verifier = await verifier_of(path, clock=lambda: now[0])
    token = SIGNER.token(exp=NOW + 5)
    await verifier.verify(f"Bearer {token}")
    now[0] += 5
    assert (await refusal(verifier, f"Bearer {token}")).reason == "CREDENTIALS_EXPIRED"
    old = SIGNER.token(exp=NOW - 1)
    error = await refusal(verifier, f"Bearer {old}")
    assert (error.reason, error.code) == ("CREDENTIALS_EXPIRED", "UNAUTHENTICATED")
    assert_untold(error, old)
    await verifier.stop()


def _none() -> str:
    return raw({"alg": "none", "kid": "k1"}, claims())


def _hmac() -> str:
    """Sign with the public key as the secret, as the classic attack does."""
    secret = SIGNER.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    unsigned = raw({"alg": "HS256", "kid": "k1"}, claims()).rstrip(".")
    digest = hmac.digest(secret, unsigned.encode(), hashlib.sha256)
    return f"{unsigned}.{base64.urlsafe_b64encode(digest).decode().rstrip('=')}"


def _altered() -> str:
    header, _, signature = SIGNER.token().split(".")
    said = base64.urlsafe_b64encode(json.dumps(claims("admin")).encode()).decode().rstrip("=")
    return f"{header}.{said}.{signature}"


def _with_own_key() -> str:
    other = Signer()
    return other.sign(claims(), jwk=other.jwk, jku="https://evil.test/jwks.json")


BAD_TOKENS: dict[str, Callable[[], str]] = {
    "alg none": _none,
    "HS256 by the public key": _hmac,
    "altered": _altered,
    "another's key": lambda: Signer().token(),
    "another algorithm than the key's": lambda: Signer("ES256").token(),
    "unknown kid": lambda: Signer(kid="k2").token(),
    "no kid": lambda: raw({"alg": "EdDSA"}, claims(), b"x" * 64),
    "crit": lambda: SIGNER.sign(claims(), crit=["exp"], exp=1),
    "its own key in the header": _with_own_key,
    "too long": lambda: SIGNER.token(note="x" * 9_000),
    "no JSON": lambda: "e30.e30.e30",
    "a list": lambda: raw({"alg": "EdDSA", "kid": "k1"}, [], b"x"),
    "deep": lambda: raw({"alg": "EdDSA", "kid": "k1"}, "x", b"x").replace("Ing", "W1tb" * 900),
    "two parts": lambda: "a.b",
    "nothing": lambda: "",
    "not ASCII": lambda: "é.é.é",
}


@pytest.mark.parametrize("name", BAD_TOKENS)
async def test_what_is_no_proof(tmp_path: Path, name: str) -> None:
    """The algorithm is the key's, the key is the issuer's, the size is bounded."""
    async with verifying(tmp_path) as verifier:
        token = BAD_TOKENS[name]()
        error = await refusal(verifier, f"Bearer {token}")
        assert error.reason == "CREDENTIALS_INVALID"
        assert_untold(error, token)


async def test_only_bearer_tokens_are_credentials(tmp_path: Path) -> None:
    """Another scheme is refused, with whatever it carries."""
    async with verifying(tmp_path) as verifier:
        for credential in (SIGNER.token(), "Basic dXNlcjpwYXNz", "Bearer", ""):
            assert (await refusal(verifier, credential)).reason == "CREDENTIALS_INVALID"


async def test_what_is_remembered_is_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The memory holds so many tokens, the latest used; none of them as text."""
    monkeypatch.setattr(module, "MAX_REMEMBERED", 3)
    async with verifying(tmp_path) as verifier:
        tokens = [SIGNER.token(sub=f"client-{number}") for number in range(5)]
        for token in tokens:
            await verifier.verify(f"Bearer {token}")
        assert [known.principal.client_id for known in verifier._known.values()] == [
            "client-2",
            "client-3",
            "client-4",
        ]
        assert not any(token in repr(vars(verifier)) for token in tokens)


async def test_a_remembered_token_is_judged_again_after_a_minute(tmp_path: Path) -> None:
    """So a key that was withdrawn ends what it signed."""
    now = [float(NOW)]
    path = write(tmp_path, SIGNER.jwk)
    verifier = await verifier_of(path, clock=lambda: now[0])
    credential = f"Bearer {SIGNER.token()}"
    await verifier.verify(credential)
    write(tmp_path, jwk(new_key("EdDSA"), "k9"))
    assert await verifier._keys[ISSUER]._refresh()
    now[0] += module.REMEMBER_S - 1
    await verifier.verify(credential)
    now[0] += 1
    assert (await refusal(verifier, credential)).reason == "CREDENTIALS_INVALID"
    await verifier.stop()


def assert_untold(error: ServiceError, token: str) -> None:
    """Check that an error shows no part of a token."""
    told = f"{error!r} {error.message} {error.metadata}"
    assert not any(part in told for part in token.split(".") if len(part) > 3)
