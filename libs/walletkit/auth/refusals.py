"""The errors of credentials. None of them repeats anything of a token. Pure."""

from walletkit.errors import ServiceError

Problem = str


class StartError(RuntimeError):
    """A service must not start so: what it is to know its callers by can't be had."""


def missing() -> ServiceError:
    """Make the error for a call without credentials."""
    message = "this call needs credentials: metadata `authorization: Bearer <token>`"
    return ServiceError("CREDENTIALS_MISSING", message)


def invalid(problem: Problem) -> ServiceError:
    """Make the error for credentials that prove nothing; ``problem`` is of our own words."""
    return ServiceError("CREDENTIALS_INVALID", f"the token: {problem}", {"problem": problem})


def expired() -> ServiceError:
    """Make the error for a token whose time is over."""
    return ServiceError("CREDENTIALS_EXPIRED", "the token: `exp` is over; get a new one")


def issuer_unavailable(issuer: str) -> ServiceError:
    """Make the error for a token that can't be judged, because its issuer's keys are not here."""
    message = f"the keys of issuer {issuer} can't be had at the moment; retry later"
    return ServiceError("ISSUER_UNAVAILABLE", message, {"issuer": issuer})
