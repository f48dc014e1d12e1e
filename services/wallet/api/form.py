"""Read the fields of one request: all that is malformed is told at once, what is unknown asked for.

Some fields hold names of facts that another shard may keep: an alias, a hold, a transaction, a
registered asset. A form takes them from ``Known``. What is not known yet ends in
``UnresolvedError``: the caller has it read (``names.py``) and reads the request again. So a request
that names nothing costs nothing, and what is malformed is refused before anything is looked up.
"""

import re
from collections.abc import Callable, Sequence
from enum import Enum
from typing import Any, Literal, NamedTuple, Protocol, TypeVar, TypeVarTuple, cast

from guilder.type.v1.money_pb2 import Money
from wallet.api import fields
from wallet.api.known import Known, Original
from wallet.domain.kinds import ANY_VERSION
from wallet.store.queries import HoldFacts
from walletkit.errors import ServiceError, invalid_field, invalid_fields
from walletkit.ids import NIL, SystemKind, parse_id, system_wallet_id
from walletkit.money import is_asset_code, is_known

Arguments = TypeVarTuple("Arguments")
Value = TypeVar("Value")

ALIAS_PREFIX = "alias:"
SYSTEM_SIDES = {
    "sys:world": SystemKind.WORLD,
    "sys:fees": SystemKind.FEES,
    "sys:exchange": SystemKind.EXCHANGE,
}
"""System wallets that a posting may name; the others are the suite's own."""

_ALIAS = re.compile(r"alias:([A-Za-z0-9._-]{1,64})/([A-Za-z0-9._-]{1,64})")


class Sort(Enum):
    """What sort of fact a field asks for."""

    CURRENCY = "currency"
    ALIAS = "alias"
    HOLD = "hold"
    ORIGINAL = "original"
    OWNER = "owner"
    """Of a wallet; the three are asked for where the caller reaches one account alone."""
    OWN_HOLD = "own hold"
    OWN_ORIGINAL = "own original"


class Need(NamedTuple):
    """A fact that has to be read before the request can be understood."""

    sort: Sort
    name: str
    """The currency's code, the alias, or the id's text."""


class UnresolvedError(ServiceError):
    """A request is well-formed as far as is known here, but names what is not known yet.

    Taken as it is, it says that those fields are malformed.
    """

    def __init__(self, faults: Sequence[ServiceError], needs: Sequence[Need]) -> None:
        """Take what is malformed for certain or while nothing more is known, and what to read."""
        whole = invalid_fields(faults)
        super().__init__(whole.reason, whole.message, whole.metadata, whole.violations)
        self.needs = tuple(needs)


class _Versioned(Protocol):
    """A request that may expect a version."""

    @property
    def expected_version(self) -> int:
        """The version."""

    def HasField(self, field_name: Literal["expected_version"], /) -> bool:
        """Tell whether a field is given."""


class Form:
    """Read the fields of one request, and refuse it for all that are malformed at once."""

    __slots__ = ("_faults", "_known", "_part", "client")

    def __init__(
        self, known: Known | None = None, *, part: bool = False, client: bytes = b""
    ) -> None:
        """Begin with nothing wrong. ``part``: the request is a command of an atomic batch.

        ``client``: id of the caller's credential, the scope of his keys; empty where callers are
        trusted.
        """
        self.client = client
        self._faults: list[ServiceError] = []
        self._known = known
        self._part = part

    def read(self, check: Callable[[*Arguments], Value], *args: *Arguments) -> Value:
        """Return what a check returns; what it refuses has no value, see ``done``."""
        try:
            return check(*args)
        except ServiceError as fault:
            return cast("Value", self.refuse(fault))

    def refuse(self, fault: ServiceError) -> Any:  # noqa: ANN401  # it stands for any field's value
        """Note that a field is malformed. Nobody uses the value: ``done`` raises."""
        self._faults.append(fault)

    def done(self) -> None:
        """Raise ``ServiceError`` INVALID_FIELD with an entry for each malformed field, if any.

        Raise ``UnresolvedError`` where none is for certain, but something has to be read first.
        """
        if self._faults:
            raise _refusal(self._faults)

    def key(self, key: str) -> str:
        """Read an idempotency key, which a command of an atomic batch must not have."""
        return self.read(fields.no_key if self._part else fields.idempotency_key, key)

    def wallet(self, field: str, text: str) -> bytes:
        """Read a wallet's id, or its alias."""
        try:
            return parse_id(text)
        except ValueError:
            return self._alias(field, text)

    def side(self, field: str, text: str, currency: str) -> bytes:
        """Read one side of a posting: a wallet, or one of the home shard's system wallets."""
        if not text.startswith("sys:"):
            return self.wallet(field, text)
        kind = SYSTEM_SIDES.get(text)
        if kind is None:
            rule = f"must be a wallet or one of {', '.join(SYSTEM_SIDES)}"
            return cast("bytes", self.refuse(invalid_field(field, text, rule)))
        # A malformed currency has no value, and then nobody uses this one.
        return system_wallet_id(kind, 0, currency or "")

    # What only those may name who reach it; ``CustomerForm`` says who does not.
    own = wallet
    funded = wallet
    source_side = side

    def account(self, text: str) -> str:
        """Read the account that a command is about."""
        return self.read(fields.account_id, text)

    def unconfined(self) -> None:
        """Note that a command concerns more than one account."""

    def optional_wallet(self, field: str, text: str) -> bytes:
        """Read a wallet's id or alias; NIL for none."""
        return self.wallet(field, text) if text else NIL

    def currency(self, field: str, code: str) -> str:
        """Read a currency, or a registered asset."""
        if is_known(code):
            return code
        fault = invalid_field(field, code, "must be an ISO 4217 code or that of a registered asset")
        if is_asset_code(code) and self._known and not self._known.missed_currencies.has(code):
            fault = UnresolvedError([fault], [Need(Sort.CURRENCY, code)])
        return cast("str", self.refuse(fault))

    def money(self, field: str, money: Money) -> tuple[str, int]:
        """Read an amount in a currency."""
        amount = self.read(fields.amount_minor, money, f"{field}.amount_minor")
        return self.currency(f"{field}.currency_code", money.currency_code), amount

    def version(self, request: _Versioned) -> int:
        """Read the version that a request expects, if it does."""
        if not request.HasField("expected_version"):
            return ANY_VERSION
        return self.read(fields.version, request.expected_version)

    def hold(self, text: str) -> tuple[bytes, HoldFacts]:
        """Read a hold's id, and what never changes of it."""
        hold_id = self.read(fields.plain_id, "hold_id", text)
        known = self._known.holds.get(hold_id) if self._known is not None else None
        if known is None and hold_id:
            known = self._need("hold_id", text, Sort.HOLD)
        return hold_id, cast("HoldFacts", known)

    def original(self, text: str) -> tuple[bytes, Original]:
        """Read the id of a transaction to reverse, and what never changes of it."""
        tx_id = self.read(fields.plain_id, "transaction_id", text)
        known = self._known.originals.get(tx_id) if self._known is not None else None
        if known is None and tx_id:
            known = self._need("transaction_id", text, Sort.ORIGINAL)
        return tx_id, cast("Original", known)

    def _alias(self, field: str, text: str) -> bytes:
        found = _ALIAS.fullmatch(text)
        if found is None:
            rule = "must be a UUIDv7 in lower case, with hyphens, or alias:{account_id}/{name}"
            return cast("bytes", self.refuse(invalid_field(field, text, rule)))
        wallet_id = self._known.aliases.get(text) if self._known is not None else None
        return wallet_id or cast("bytes", self._need(field, text, Sort.ALIAS))

    def _need(self, field: str, text: str, sort: Sort) -> Any:  # noqa: ANN401  # as in ``refuse``
        fault = invalid_field(field, text, "is not known here")
        self.refuse(UnresolvedError([fault], [Need(sort, text)]))


def alias_of(account_id: str, name: str) -> str:
    """Write a wallet's alias."""
    return f"{ALIAS_PREFIX}{account_id}/{name}"


def split_alias(text: str) -> tuple[str, str]:
    """Take a well-formed alias apart: account and name."""
    account, _, name = text.removeprefix(ALIAS_PREFIX).partition("/")
    return account, name


def _refusal(faults: Sequence[ServiceError]) -> ServiceError:
    """Tell what is malformed. A currency must be looked up before that is known for certain."""
    needs = [need for fault in faults if isinstance(fault, UnresolvedError) for need in fault.needs]
    currencies = [need for need in needs if need.sort is Sort.CURRENCY]
    if currencies:
        return UnresolvedError([fault for fault in faults if _malformed(fault)], currencies)
    malformed = [fault for fault in faults if not isinstance(fault, UnresolvedError)]
    return invalid_fields(malformed) if malformed else UnresolvedError(faults, needs)


def _malformed(fault: ServiceError) -> bool:
    """Tell whether a field is malformed, unless its currency turns out to be registered."""
    return not isinstance(fault, UnresolvedError) or fault.needs[0].sort is Sort.CURRENCY
