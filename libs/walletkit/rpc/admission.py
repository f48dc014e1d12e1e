"""Say who a caller is, by token or certificate; the interceptor has the table of roles."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Self

from walletkit.auth.refusals import invalid, missing
from walletkit.auth.settings import AuthSettings
from walletkit.auth.verifier import Verifier
from walletkit.principal import Principal, Role

_SUBJECT_NAMES = "x509_subject_alternative_name"
"""Where gRPC has the names of a certificate that its caller has proved."""

_INTERNAL = frozenset((Role.INTERNAL,))


@dataclass(frozen=True, slots=True)
class Admission:
    """How a server knows its callers."""

    trusting: bool
    """Whether a call without credentials is let in, and may do all."""
    verifier: Verifier | None = None
    internal_names: frozenset[str] = frozenset()
    """Names in certificates that are services of the suite."""

    @classmethod
    def of(cls, settings: AuthSettings, verifier: Verifier) -> Self:
        """Read the settings; ``verifier`` is theirs."""
        names = frozenset(settings.tls_internal_names)
        return cls(settings.auth_mode == "trusted", verifier, names)

    async def verify(self, credential: str | bytes) -> Principal:
        """Return the principal of a token. Raise what ``Verifier.verify`` raises."""
        if isinstance(credential, bytes):
            raise invalid("must be text")
        if self.verifier is None:
            raise invalid("no issuer is trusted here")
        return await self.verifier.verify(credential)

    def remaining_s(self, credential: str | bytes) -> float:
        """Return for how long a token that ``verify`` has believed is still good."""
        assert self.verifier is not None, "it has believed a token"
        assert isinstance(credential, str), "it has believed a token"
        return self.verifier.remaining_s(credential)

    def peer(self, proved: Mapping[str, Iterable[bytes]]) -> Principal:
        """Return the principal of a certificate. Raise CREDENTIALS_MISSING when it has none."""
        names = (name.decode(errors="replace") for name in proved.get(_SUBJECT_NAMES, ()))
        ours = next((name for name in names if name in self.internal_names), None)
        if ours is None:
            raise missing()
        return Principal(ours, _INTERNAL)


TRUSTING = Admission(trusting=True)
"""Callers without credentials may do all, and others nothing."""
