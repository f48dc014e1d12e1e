"""Decide several postings, all or none.

They are carried out in their order, each on what those before it have left: a wallet may be paid
by one and pay by a later one. Checks come over all of them, each kind before the next.
"""

from collections.abc import Iterable, Iterator

from wallet.domain.batch import Balance, Batch, Counterparty, NewTransaction, Posting
from wallet.domain.checks import (
    check_credit,
    check_currency,
    check_debit,
    check_funds,
    check_state,
    check_version,
    find,
)
from wallet.domain.commands import Intent, Line, PostTransaction, Transfer
from wallet.domain.kinds import ANY_VERSION, LegResult, TransactionState, TransactionType
from wallet.domain.limits import begin
from wallet.domain.outcome import Posted
from wallet.domain.reversal import already_reversed, check_landed, note_audit, note_reversed
from wallet.domain.trial import Trial
from wallet.domain.wallet import not_found
from walletkit.errors import ServiceError, invalid_field
from walletkit.ids import NIL, SystemKind, format_id, is_system, slot_of, system_wallet_id

_NAMEABLE = frozenset({SystemKind.WORLD, SystemKind.FEES, SystemKind.EXCHANGE})
"""System wallets that a caller may post to; the others are the suite's own."""

Wallets = dict[bytes, Balance | Counterparty]


def decide_post(batch: Batch, command: PostTransaction) -> Posted | ServiceError:
    """Make all the postings, or say why not."""
    lines = home_lines(command.lines, batch.shard)
    wallets: Wallets = {}
    refusal = _find_all(batch, command, lines, wallets)
    if refusal is None and command.original:
        refusal = _check_original(batch, command, lines, wallets)
    if refusal is None:
        refusal = _check_wallets(command, lines, wallets)
    if refusal is not None:
        return refusal
    trial = Trial(batch)
    postings = _carry_out(trial.batch, lines)
    if isinstance(postings, ServiceError):
        trial.drop()
        return postings
    trial.keep()
    return _made(batch, command, lines, postings)


def home_lines(lines: Iterable[Line], shard: int) -> tuple[Line, ...]:
    """Return the lines with the system wallets of a shard."""
    return tuple(
        line._replace(
            source=_home_side(line.source, line.currency, shard),
            destination=_home_side(line.destination, line.currency, shard),
        )
        for line in lines
    )


def post_transfer(command: PostTransaction, lines: tuple[Line, ...]) -> Transfer:
    """Return what is told of the transaction; ``lines`` name the home's system wallets."""
    first = lines[0]
    return Transfer(
        command.ref,
        command.slot,
        TransactionType.REVERSAL if command.original else TransactionType.POSTING,
        first.source,
        first.destination,
        first.currency,
        first.amount,
        command.reference,
        command.opaque,
        ANY_VERSION,
        command.key_hash,
        command.fingerprint,
        command.effective_us,
        command.original,
        command.family or command.original,
    )


def _home_side(wallet_id: bytes, currency: str, shard: int) -> bytes:
    if wallet_id == NIL:
        return system_wallet_id(SystemKind.WORLD, shard, currency)
    if is_system(wallet_id):
        return wallet_id[:2] + shard.to_bytes(2, "big") + wallet_id[4:]
    return wallet_id


def _sides(lines: Iterable[Line]) -> Iterator[tuple[bytes, Line]]:
    for line in lines:
        yield line.source, line
        yield line.destination, line


def _find_all(
    batch: Batch, command: PostTransaction, lines: tuple[Line, ...], wallets: Wallets
) -> ServiceError | None:
    """Gather what is known of every customer wallet."""
    named = [wallet_id for wallet_id, _ in command.expected_versions]
    for wallet_id in [*[side for side, _ in _sides(lines)], *named]:
        if is_system(wallet_id):
            if wallet_id[1] not in _NAMEABLE:
                return not_found(wallet_id)
        elif wallet_id not in wallets:
            found = find(batch, wallet_id)
            if isinstance(found, ServiceError):
                return found
            wallets[wallet_id] = found
    return None


def _check_original(
    batch: Batch, command: PostTransaction, lines: tuple[Line, ...], wallets: Wallets
) -> ServiceError | None:
    """Refuse to reverse what was reversed, or has not arrived.

    Where the original's home is another shard, every credit that goes back from here came as a leg.
    Its home is known by its scope wallet: the one with the slot that its id carries.
    """
    if command.original in batch.reversed:
        return already_reversed(command.original)
    # Told first: what the home has credited leaves no trace here that could be waited for.
    refusal = _check_debits(lines, wallets)
    if refusal is not None:
        return refusal
    home = slot_of(command.original)
    if any(isinstance(w, Balance) for id_, w in wallets.items() if slot_of(id_) == home):
        return None
    results = [batch.landed.get((command.original, leg)) for leg in range(len(lines))]
    came = sum(1 for line in lines if not is_system(line.source))
    if LegResult.RETURNED in results:
        return check_landed(command.original, LegResult.RETURNED)
    if results.count(LegResult.CREDITED) < came:
        return check_landed(command.original, None)
    return None


def _check_wallets(
    command: PostTransaction, lines: tuple[Line, ...], wallets: Wallets
) -> ServiceError | None:
    """Check where debits lie, then states, then currencies, then versions."""
    refusal = _check_debits(lines, wallets)
    if refusal is not None:
        return refusal
    for line in lines:
        refusal = _check_states(line, wallets)
        if refusal is not None:
            return refusal
    for wallet_id, line in _sides(lines):
        wallet = wallets.get(wallet_id)
        held = wallet.currency if wallet else wallet_id[4:].rstrip(b"\0").decode()
        refusal = check_currency(wallet_id, held, line.currency)
        if refusal is not None:
            return refusal
    for wallet_id, expected in command.expected_versions:
        wallet = wallets[wallet_id]
        if not isinstance(wallet, Balance):
            # What can't be checked under a lock must not pass as if it had been.
            rule = "must name wallets of the home shard"
            return invalid_field("expected_versions", format_id(wallet_id), rule)
        refusal = check_version(wallet_id, wallet.version, expected)
        if refusal is not None:
            return refusal
    return None


def _check_debits(lines: tuple[Line, ...], wallets: Wallets) -> ServiceError | None:
    for line in lines:
        if isinstance(wallets.get(line.source), Counterparty):
            return _multi_shard(line.source)
    return None


def _check_states(line: Line, wallets: Wallets) -> ServiceError | None:
    for wallet_id, debit in ((line.source, True), (line.destination, False)):
        wallet = wallets.get(wallet_id)
        if wallet is not None:
            refusal = check_state(wallet_id, wallet, debit=debit)
            if refusal is not None:
                return refusal
    return None


def _multi_shard(wallet_id: bytes) -> ServiceError:
    shown = format_id(wallet_id)
    return ServiceError(
        "MULTI_SHARD_DEBIT",
        f"wallet {shown} is to be debited too, and lies on another shard",
        {"wallet_id": shown},
    )


def _carry_out(batch: Batch, lines: tuple[Line, ...]) -> tuple[Posting, ...] | ServiceError:
    """Post line by line, on a trial: limits are checked over all lines before funds are."""
    postings = []
    poor: ServiceError | None = None
    for line in lines:
        source, destination = (batch.balances.get(w) for w in (line.source, line.destination))
        refusal = None
        if source is not None:
            refusal = check_debit(batch, line.source, source, line.amount)
        refusal = refusal or check_credit(batch, line.destination, destination, line.amount)
        if refusal is not None:
            return refusal
        if source is not None:
            poor = poor or check_funds(line.source, source.available, line.amount)
            if source.flags:
                begin(batch, line.source, source)
        credited = line.destination
        if _goes_away(batch, line):
            credited = batch.system(SystemKind.TRANSIT, line.currency)
        postings.append(batch.post(line.source, credited, line.currency, line.amount))
    return poor or tuple(postings)


def _goes_away(batch: Batch, line: Line) -> bool:
    return not is_system(line.destination) and line.destination not in batch.balances


def _made(
    batch: Batch,
    command: PostTransaction,
    lines: tuple[Line, ...],
    postings: tuple[Posting, ...],
) -> Posted:
    """Note the transaction, and say what it came to."""
    legs = tuple(leg for leg, line in enumerate(lines) if _goes_away(batch, line))
    intents = tuple(_intent(command, leg, lines[leg], len(legs)) for leg in legs)
    state = TransactionState.PROCESSING if legs else TransactionState.COMPLETED
    told = post_transfer(command, lines)
    several = lines if len(lines) > 1 else ()
    batch.changes.transactions.append(
        NewTransaction(told, state, told.source, told.destination, postings, intents, several)
    )
    if command.original:
        total = sum(line.amount for line in lines)
        note_reversed(batch, command.original, command.slot, total)
        note_audit(batch, command.cause, 0)
    here = sorted({side for side, _ in _sides(lines) if side in batch.balances})
    balances = tuple((w, batch.balances[w].currency, batch.balances[w].after()) for w in here)
    return Posted(
        told,
        state,
        batch.now_us,
        None,
        None,
        replayed=False,
        lines=several,
        balances=balances,
        legs=legs,
    )


def _intent(command: PostTransaction, leg: int, line: Line, legs: int) -> Intent:
    return Intent(
        command.ref,
        leg,
        line.source,
        line.destination,
        line.currency,
        line.amount,
        legs,
        command.effective_us,
    )
