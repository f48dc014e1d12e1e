"""Write what a batch makes as rows, in the order of their tables' columns. No I/O.

The tables that nearly every transfer writes to have a template each, which costs half of writing
value by value, and their rows come out as text, sorted by primary key. Every value goes through
``%d``, which refuses text, or ``bytes.hex``, which refuses all but bytes: there is nothing to quote
and nothing to escape. All others are values for ``literals``.
"""

from collections.abc import Iterable, Mapping
from operator import attrgetter, itemgetter

from wallet.domain.batch import Balance, Batch, Changes, NewLeg, NewTransaction, WalletChange
from wallet.domain.bound import Bound, encode_limits, encode_usage
from wallet.domain.commands import Intent
from wallet.domain.kinds import RETURN_LEG, WalletChangeKind
from wallet.domain.outcome import Hold
from walletkit.clock import to_datetime
from walletkit.ids import slot_of

Values = tuple[int | bytes, ...]

_TRANSACTION = "(x'%s',%d,%d,%d,x'%s',x'%s',x'%s',%d,x'%s',x'%s',x'%s')"
_IDEM = "(x'%s',%d,%d,x'%s')"
_OUTCOME = "(x'%s',%d,x'%s',x'%s')"
_INTENT = "x'%s',%d,%d,x'%s',x'%s',x'%s',%d"
_INBOX = "(x'%s',%d,%d,%d)"
_BALANCE = "SELECT x'%s',%d,%d,%d,%d"
_FIRST_BALANCE = "SELECT x'%s' a,%d p,%d h,%d s,%d v"

_FIRST = itemgetter(0)
_made = attrgetter("command.ref")
_keyed = attrgetter("command.key_hash")
_hex = bytes.hex


def created_rows(batch: Batch, now: bytes) -> dict[str, list[Values]]:
    """Return the rows of new wallets; what happened to them since is an update."""
    created = [c for c in batch.changes.wallets if c.kind == WalletChangeKind.CREATED]
    return {
        "wallets": [
            (
                change.facts.wallet_id,
                change.slot,
                change.facts.account_id.encode(),
                change.facts.currency.encode(),
                now,
                change.facts.opaque,
                change.facts.alias.encode(),
            )
            for change in created
        ],
        "balances": [_balance(c, batch.balances[c.facts.wallet_id].flags) for c in created],
        "aliases": [
            (c.facts.account_id.encode(), c.facts.alias.encode(), c.slot, c.facts.wallet_id)
            for c in created
            if c.facts.alias
        ],
    }


def transaction_rows(changes: Changes, now: bytes) -> list[str]:
    """Write the rows of `transactions`: of several postings the first one's wallets and amount."""
    at = _hex(now)
    return [
        _TRANSACTION
        % (
            _hex(command.ref),
            command.slot,
            command.type,
            state,
            _hex(source),
            _hex(destination),
            _hex(command.currency.encode()),
            command.amount,
            at,
            _hex(command.reference),
            _hex(command.opaque),
        )
        for command, state, source, destination, *_ in sorted(changes.transactions, key=_made)
    ]


def idem_rows(changes: Changes, day: int) -> list[str]:
    """Write the rows of `idem`."""
    return [
        _IDEM % (_hex(command.key_hash), day, command.slot, _hex(command.ref))
        for command, _, _ in sorted(changes.keys, key=_keyed)
    ]


def outcome_rows(changes: Changes) -> list[str]:
    """Write the rows of `outcomes`."""
    return [
        _OUTCOME % (_hex(command.ref), command.slot, _hex(command.fingerprint), _hex(kept))
        for command, _, kept in sorted(changes.keys, key=_made)
    ]


def intent_rows(intents: Iterable[Intent], *, full: bool) -> list[str]:
    """Write the rows of `intents`, ``full``: with the number of legs and the time they count."""
    return [
        f"({_intent(one)},{one.legs:d},{one.effective_us:d})" if full else f"({_intent(one)})"
        for one in sorted(intents)
    ]


def inbox_rows(legs: Iterable[NewLeg]) -> list[str]:
    """Write the rows of `inbox`."""
    rows = sorted([(leg.intent.tx_id, leg.intent.leg, leg.slot, leg.result) for leg in legs])
    return [_INBOX % (_hex(tx_id), leg, slot, result) for tx_id, leg, slot, result in rows]


def balance_selects(balances: Mapping[bytes, Balance]) -> list[str]:
    """Write balances as SELECTs of id, posted, held, status and version, named by the first."""
    rows = sorted(balances.items(), key=_FIRST)
    return [
        (_BALANCE if n else _FIRST_BALANCE) % (_hex(id_), b.posted, b.held, b.status, b.version)
        for n, (id_, b) in enumerate(rows)
    ]


def line_rows(new: NewTransaction) -> Iterable[Values]:
    """Yield the rows of `tx_lines`: none where there is only one posting."""
    command = new.command
    for n, line in enumerate(new.lines):
        currency = line.currency.encode()
        yield (
            command.ref,
            n,
            command.slot,
            line.source,
            line.destination,
            currency,
            line.amount,
        )


def hold_row(hold: Hold) -> Values:
    """Return a row of `holds`, as an open one: NULL can't be written as a value."""
    expires_at = created_at(hold.expire_time_us)
    return (
        hold.hold_id,
        slot_of(hold.wallet_id),
        hold.wallet_id,
        hold.currency.encode(),
        hold.destination,
        int(hold.state),
        hold.authorized,
        hold.captured,
        hold.released,
        expires_at,
        expires_at,
        created_at(hold.create_time_us),
        hold.reference,
        hold.opaque,
    )


def limits_row(bound: Bound) -> Values:
    """Return a row of `limits`."""
    return (
        bound.owner,
        bound.slot,
        encode_limits(bound.limits),
        bound.held,
        encode_usage(bound.usage),
    )


def created_at(time_us: int) -> bytes:
    """Write a time as the bytes of a DATETIME(6)."""
    return to_datetime(time_us).strftime("%Y-%m-%d %H:%M:%S.%f").encode()


def _intent(intent: Intent) -> str:
    tx_id, leg, source, destination, currency, amount, _, _ = intent
    # A return is opened by the wallet that could not be credited, all others by the home.
    slot = slot_of(source if leg >= RETURN_LEG else tx_id)
    sides = _hex(source), _hex(destination)
    return _INTENT % (_hex(tx_id), leg, slot, *sides, _hex(currency.encode()), amount)


def _balance(change: WalletChange, flags: int) -> Values:
    facts = change.facts
    status, version = int(change.status), change.version
    return (
        facts.wallet_id,
        change.slot,
        facts.currency.encode(),
        0,
        0,
        0,
        status,
        version,
        flags,
    )
