"""Read what a list is asked for: its scope, what narrows it, and the name its tokens are bound to.

No I/O.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from guilder.events.v1 import record_pb2 as events
from guilder.ledger.v1 import ledger_service_pb2 as api
from ledger.api import convert
from ledger.domain.label import family_label, metadata_label, metadata_of, reference_label
from ledger.store.narrowing import ANYTHING, Filters
from walletkit.errors import invalid_field
from walletkit.ids import parse_id

MAX_REFERENCE_BYTES = 64
MAX_METADATA_BYTES = 4_096
"""What the wallets take: all metadata of a transaction is no longer than that."""

_ACCOUNT_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_SCOPES = ("wallet_id", "account_id", "family_id")

_Enum = type[events.TransactionType] | type[events.TransactionState] | type[events.AuditAction]


@dataclass(frozen=True, slots=True)
class Query:
    """What a list is about."""

    name: bytes
    """Whatever decides what is on the list; the tokens of its pages are bound to it."""

    filters: Filters = ANYTHING
    start_us: int | None = None
    end_us: int | None = None
    wallet_id: bytes = b""
    account_id: str = ""
    label: bytes | None = None
    """The label that is the scope; None where a wallet or an account is."""

    family_id: bytes = b""
    reference: bytes = b""
    metadata: tuple[str, str] | None = None

    @classmethod
    def of_entries(cls, request: api.ListEntriesRequest) -> "Query":
        """Read a list of entries. Raise ``ServiceError`` (INVALID_FIELD)."""
        wallet_id = convert.wallet_id(request.wallet_id)
        start, end = convert.moment(request, "start_time"), convert.moment(request, "end_time")
        name = repr((type(request).__name__, wallet_id, start, end)).encode()
        return cls(name, start_us=start, end_us=end, wallet_id=wallet_id)

    @classmethod
    def of_transactions(cls, request: api.ListTransactionsRequest) -> "Query":
        """Read a list of transactions. Raise ``ServiceError`` (INVALID_FIELD)."""
        _check(request)
        start, end = convert.moment(request, "start_time"), convert.moment(request, "end_time")
        wallet_id = convert.wallet_id(request.wallet_id) if request.wallet_id else b""
        family_id = _family(request.family_id) if request.family_id else b""
        reference = request.reference.encode()
        metadata = None
        labels = []
        if family_id:
            labels.append(family_label(family_id))
        if reference:
            labels.append(reference_label(reference))
        if request.metadata_key:
            metadata = (request.metadata_key, request.metadata_value)
            labels.append(metadata_label(*metadata))
        # Without a wallet or an account the first label is what is listed, and the others narrow.
        scope = None if wallet_id or request.account_id else labels.pop(0)
        types, states = frozenset(request.types), frozenset(request.states)
        parts = (wallet_id, request.account_id, family_id, reference, metadata)
        narrowing = (start, end, sorted(types), sorted(states))
        return cls(
            name=repr((type(request).__name__, parts, narrowing)).encode(),
            filters=Filters(types, states, tuple(labels)),
            start_us=start,
            end_us=end,
            wallet_id=wallet_id,
            account_id=request.account_id,
            label=scope,
            family_id=family_id,
            reference=reference,
            metadata=metadata,
        )

    def admits(self, item: api.JournalTransaction) -> bool:
        """Tell whether a transaction is really what was asked for.

        A label is a hash, and a state may have changed since it was looked up.
        """
        if not item.HasField("transaction"):
            return True
        found = item.transaction
        if self.filters.states and found.state not in self.filters.states:
            return False
        if self.family_id and found.family_id != self.family_id:
            return False
        if self.reference and found.reference != self.reference:
            return False
        if self.metadata is None:
            return True
        key, value = self.metadata
        return metadata_of(found.opaque).get(key) == value


def _check(request: api.ListTransactionsRequest) -> None:
    """Check what does not need to be read. Raise ``ServiceError`` (INVALID_FIELD)."""
    scopes = [field for field in _SCOPES if getattr(request, field)]
    if len(scopes) > 1:
        raise invalid_field(scopes[1], getattr(request, scopes[1]), f"not beside {scopes[0]}")
    if not scopes and not request.reference and not request.metadata_key:
        rule = "one of wallet_id, account_id, family_id, reference and metadata_key is needed"
        raise invalid_field("wallet_id", "", rule)
    if request.account_id:
        check_account_id(request.account_id)
    if len(request.reference.encode()) > MAX_REFERENCE_BYTES:
        raise invalid_field("reference", request.reference, f"at most {MAX_REFERENCE_BYTES} bytes")
    if request.metadata_value and not request.metadata_key:
        raise invalid_field("metadata_key", "", "a value needs a key")
    for field in ("metadata_key", "metadata_value"):
        if len(getattr(request, field).encode()) > MAX_METADATA_BYTES:
            rule = f"at most {MAX_METADATA_BYTES} bytes"
            raise invalid_field(field, getattr(request, field), rule)
    check_enum("types", request.types, events.TransactionType)
    check_enum("states", request.states, events.TransactionState)


def check_account_id(text: str) -> None:
    """Check an account's id. Raise ``ServiceError`` (INVALID_FIELD)."""
    if not _ACCOUNT_ID.fullmatch(text):
        raise invalid_field("account_id", text, "1 to 64 of A-Z a-z 0-9 . _ -")


def check_enum(field: str, values: Iterable[int], known: _Enum) -> None:
    """Check that values of an enum are known ones. Raise ``ServiceError`` (INVALID_FIELD)."""
    for value in values:
        if value == 0 or value not in known.values():
            raise invalid_field(field, value, "a known value")


def _family(text: str) -> bytes:
    try:
        return parse_id(text)
    except ValueError as error:
        raise invalid_field("family_id", text, "the id of a hold or transaction") from error
