"""Read transactions of several postings, and reversals.

Each posting debits one side by what it credits the other, in one currency: so the entries of any
number of postings sum to zero in each currency by construction, and nothing is left to check.
"""

from guilder.wallet.v1 import postings_pb2 as pb
from wallet.api import fields
from wallet.api.form import Form
from wallet.api.known import Original
from wallet.api.parse.cause import whose_call
from wallet.domain import idempotency
from wallet.domain.commands import Line, PostTransaction, Reverse
from wallet.domain.kinds import ANY_VERSION, TransactionType
from walletkit.errors import ServiceError, invalid_field
from walletkit.ids import NIL, is_system, new_id, slot_of, system_parts, system_wallet_id

MAX_POSTINGS = 100
MAX_EXPECTED_VERSIONS = 200
"""As many as a hundred postings have wallets."""
HOME_LEG = -1
"""Leg of a credit that needed none."""
FIRST_LEG = 0

Versions = tuple[tuple[bytes, int], ...]


def post(request: pb.PostTransactionRequest, form: Form) -> PostTransaction:
    """Read several postings. Raise ``ServiceError`` for malformed fields."""
    count = len(request.postings)
    if not 1 <= count <= MAX_POSTINGS:
        rule = f"must hold 1 to {MAX_POSTINGS} postings"
        form.refuse(invalid_field("postings", f"{count} postings", rule))
    lines = tuple([_line(n, one, form) for n, one in enumerate(request.postings[:MAX_POSTINGS])])
    key = form.key(request.idempotency_key)
    reference = form.read(fields.reference, request.reference)
    effective_us = 0
    if request.HasField("effective_time"):
        effective_us = form.read(fields.effective_time, request.effective_time)
    opaque = form.read(fields.opaque, request.description, request.metadata, effective_us)
    versions = _expected_versions(request, form)
    form.done()
    return _post(lines, reference, opaque, versions, key, effective_us, form)


def reverse(request: pb.ReverseTransactionRequest, form: Form) -> Reverse | PostTransaction:
    """Read a reversal; without a reference it carries the original's.

    One of several postings is several postings, each turned round. Raise ``ServiceError`` for
    malformed fields, and TRANSACTION_NOT_REVERSIBLE for the reversal of a reversal.
    """
    tx_id, original = form.original(request.transaction_id)
    key = form.key(request.idempotency_key)
    currency, amount = "", 0
    if request.HasField("amount"):
        currency, amount = form.money("amount", request.amount)
    reason = form.read(fields.short_text, "reason", request.reason, fields.MAX_REASON_BYTES)
    actor = form.read(fields.short_text, "actor", request.actor, fields.MAX_ACTOR_BYTES)
    reference = form.read(fields.reference, request.reference)
    effective_us = 0
    if request.HasField("effective_time"):
        effective_us = form.read(fields.effective_time, request.effective_time)
    opaque = form.read(
        fields.opaque, request.description, request.metadata, effective_us, reason, actor
    )
    expected = form.version(request)
    form.done()
    if original.type == TransactionType.REVERSAL:
        shown = {"transaction_id": request.transaction_id}
        message = f"transaction {request.transaction_id} is a reversal"
        raise ServiceError("TRANSACTION_NOT_REVERSIBLE", message, shown)
    reference = reference or original.reference
    if original.type == TransactionType.POSTING:
        if amount:
            rule = "must not be given: several postings are reversed as a whole"
            raise invalid_field("amount", amount, rule)
        return _reverse_postings(
            tx_id, original, reference, opaque, expected, key, effective_us, form
        )
    currency = currency or original.currency
    scope = original.source if original.destination == NIL else original.destination
    slot = slot_of(scope)
    return Reverse(
        new_id(slot),
        slot,
        tx_id,
        FIRST_LEG if original.remote else HOME_LEG,
        original.destination,
        original.source,
        currency,
        original.amount,
        amount,
        original.family,
        reference,
        opaque,
        expected,
        idempotency.key_hash(form.client, scope, key),
        idempotency.reverse_fingerprint(tx_id, currency, amount, expected, reference, opaque),
        effective_us,
        whose_call(),
    )


def scope_of(lines: tuple[Line, ...]) -> bytes:
    """Return the lowest wallet that is debited, else the lowest that is credited, else nothing."""
    debited = [line.source for line in lines if not is_system(line.source)]
    credited = [line.destination for line in lines if not is_system(line.destination)]
    return min(debited or credited, default=b"")


def as_home(line: Line) -> Line:
    """Name the system wallets of a line by their kind alone: they are those of any home."""
    return line._replace(
        source=_kind_alone(line.source, line.currency),
        destination=_kind_alone(line.destination, line.currency),
    )


def _kind_alone(wallet_id: bytes, currency: str) -> bytes:
    if not is_system(wallet_id) or wallet_id == NIL:
        return wallet_id
    return system_wallet_id(system_parts(wallet_id)[0], 0, currency)


def _line(number: int, posting: pb.Posting, form: Form) -> Line:
    place = f"postings[{number}]"
    currency, amount = form.money(f"{place}.amount", posting.amount)
    source = form.source_side(f"{place}.source_wallet_id", posting.source_wallet_id, currency)
    field = f"{place}.destination_wallet_id"
    destination = form.side(field, posting.destination_wallet_id, currency)
    if source and source == destination:
        rule = "must not be the source wallet"
        form.refuse(invalid_field(field, posting.destination_wallet_id, rule))
    return Line(source, destination, currency, amount)


def _expected_versions(request: pb.PostTransactionRequest, form: Form) -> Versions:
    """Read the versions that wallets must have, ordered by wallet; an alias stands for its id."""
    name = "expected_versions"
    count = len(request.expected_versions)
    if count > MAX_EXPECTED_VERSIONS:
        rule = f"must name at most {MAX_EXPECTED_VERSIONS} wallets"
        form.refuse(invalid_field(name, f"{count} wallets", rule))
        return ()
    versions: dict[bytes, int] = {}
    for text, number in sorted(request.expected_versions.items()):
        wallet_id = form.own(name, text)
        if wallet_id in versions:
            form.refuse(invalid_field(name, text, "must name each wallet once"))
        version = form.read(fields.version, number, name)
        if wallet_id:
            versions[wallet_id] = version
    return tuple(sorted(versions.items()))


def _post(
    lines: tuple[Line, ...],
    reference: bytes,
    opaque: bytes,
    versions: Versions,
    key: str,
    effective_us: int,
    form: Form,
) -> PostTransaction:
    scope = scope_of(lines)
    if not scope:
        form.refuse(invalid_field("postings", len(lines), "must touch at least one wallet"))
        form.done()
    slot = slot_of(scope)
    return PostTransaction(
        new_id(slot),
        slot,
        lines,
        reference,
        opaque,
        versions,
        idempotency.key_hash(form.client, scope, key),
        idempotency.post_fingerprint(lines, versions, reference, opaque),
        effective_us,
    )


def _reverse_postings(
    tx_id: bytes,
    original: Original,
    reference: bytes,
    opaque: bytes,
    expected: int,
    key: str,
    effective_us: int,
    form: Form,
) -> PostTransaction:
    """Turn every posting round, the last one first: so what was passed on comes back in time."""
    lines = tuple(
        line._replace(source=line.destination, destination=line.source)
        for line in reversed(original.lines)
    )
    versions = ((scope_of(lines), expected),) if expected != ANY_VERSION else ()
    made = _post(lines, reference, opaque, versions, key, effective_us, form)
    fingerprint = idempotency.post_fingerprint(lines, versions, reference, opaque, tx_id)
    return made._replace(
        original=tx_id, family=original.family, fingerprint=fingerprint, cause=whose_call()
    )
