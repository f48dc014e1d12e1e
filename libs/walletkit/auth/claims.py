"""Judge what a token says, once its signature is proved. Pure.

Nothing is read generously: a time is an integer, a subject is a short printable text, and a
customer has an account and no other role.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from walletkit.auth.refusals import expired, invalid
from walletkit.principal import KEY_PREFIX, Principal, Role

LEEWAY_S = 10
"""How far an issuer's clock may differ from ours."""
MAX_ROLES = 32
MAX_TIME = 2**53

_SUBJECT = re.compile(r"[!-~]{1,128}")
_ACCOUNT = re.compile(r"[A-Za-z0-9._-]{1,64}")
_KEY_ID = re.compile(r"[0-9a-f-]{36}")
_OF_TOKENS = {role.value: role for role in Role if role is not Role.INTERNAL}
"""The roles that a token can carry."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What is asked of the tokens of one issuer."""

    issuer: str
    audience: str
    internal_subjects: frozenset[str] = frozenset()
    """Subjects that are services of the suite itself."""


def principal_of(claims: Mapping[str, object], rules: Rules, now_s: float) -> Principal:
    """Return who a token speaks for. Raise CREDENTIALS_INVALID or CREDENTIALS_EXPIRED."""
    if claims.get("iss") != rules.issuer:
        raise invalid("`iss` is no issuer that is trusted here")
    if not _is_meant(claims.get("aud"), rules.audience):
        raise invalid("`aud` does not name this suite")
    _check_times(claims, now_s)
    subject = claims.get("sub")
    if not isinstance(subject, str) or not _SUBJECT.fullmatch(subject):
        raise invalid("`sub` must be 1 to 128 printable ASCII characters")
    if subject in rules.internal_subjects:
        return Principal(subject, frozenset((Role.INTERNAL,)))
    roles = _roles(claims.get("roles", []))
    return Principal(subject, roles, _account(claims, roles), _key_id(claims, subject))


def expiry_s(claims: Mapping[str, object]) -> int:
    """Return ``exp``, in seconds since 1970. Raise CREDENTIALS_INVALID."""
    found = _time(claims, "exp")
    if found is None:
        raise invalid("`exp` is missing")
    return found


def _is_meant(audience: object, ours: str) -> bool:
    return ours in audience if isinstance(audience, list) else audience == ours


def _check_times(claims: Mapping[str, object], now_s: float) -> None:
    begins, made = _time(claims, "nbf"), _time(claims, "iat")
    if expiry_s(claims) <= now_s:
        raise expired()
    if begins is not None and begins > now_s + LEEWAY_S:
        raise invalid("`nbf` is in the future")
    if made is not None and made > now_s + LEEWAY_S:
        raise invalid("`iat` is in the future")


def _time(claims: Mapping[str, object], name: str) -> int | None:
    if name not in claims:
        return None
    found = claims[name]
    # A bool is an int, and no time.
    if type(found) is not int or not 0 <= found <= MAX_TIME:
        raise invalid(f"`{name}` must be a whole number of seconds since 1970")
    return found


def _roles(found: object) -> frozenset[Role]:
    """Return the roles; names of other systems are no roles here."""
    if not isinstance(found, list) or len(found) > MAX_ROLES:
        raise invalid(f"`roles` must be a list of at most {MAX_ROLES} names")
    if not all(isinstance(name, str) for name in found):
        raise invalid("`roles` must be a list of names")
    return frozenset(_OF_TOKENS[name] for name in found if name in _OF_TOKENS)


def _key_id(claims: Mapping[str, object], subject: str) -> str:
    """Return the API key of edge's tokens; in those of others the claim means nothing."""
    if not subject.startswith(KEY_PREFIX):
        return ""
    key_id = claims.get("key_id", "")
    if not isinstance(key_id, str) or not _KEY_ID.fullmatch(key_id):
        raise invalid("`key_id` must be the id of a key: a UUID")
    return key_id


def _account(claims: Mapping[str, object], roles: frozenset[Role]) -> str:
    """Return the customer's account.

    A customer who had another role as well would reach every wallet by way of it, with the calls
    that a customer's role admits.
    """
    if Role.CUSTOMER not in roles:
        return ""
    if len(roles) > 1:
        raise invalid("`roles`: a customer can't have another role")
    account = claims.get("account_id")
    if not isinstance(account, str) or not _ACCOUNT.fullmatch(account):
        raise invalid("`account_id` must name the customer's account")
    return account
