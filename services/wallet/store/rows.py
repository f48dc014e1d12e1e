"""Write what a batch makes as rows, in the order of their tables' columns. No I/O."""

from collections.abc import Iterable

from wallet.domain.batch import Batch, NewLeg, NewTransaction, WalletChange
from wallet.domain.bound import Bound, encode_limits, encode_usage
from wallet.domain.commands import Intent
from wallet.domain.kinds import RETURN_LEG, WalletChangeKind
from wallet.domain.outcome import Hold
from walletkit.clock import to_datetime
from walletkit.ids import slot_of

Values = tuple[int | bytes, ...]


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


def transaction_row(new: NewTransaction, now: bytes) -> Values:
    """Return a row of `transactions`: of several postings the first one's wallets and amount."""
    command = new.command
    return (
        command.ref,
        command.slot,
        int(command.type),
        int(new.state),
        new.source,
        new.destination,
        command.currency.encode(),
        command.amount,
        now,
        command.reference,
        command.opaque,
    )


def intent_row(intent: Intent) -> Values:
    """Return a row of `intents`, without the number of its legs and the time when it counts."""
    # A return is opened by the wallet that could not be credited, all others by the home.
    opener = intent.source if intent.leg >= RETURN_LEG else intent.tx_id
    return (
        intent.tx_id,
        intent.leg,
        slot_of(opener),
        intent.source,
        intent.destination,
        intent.currency.encode(),
        intent.amount,
    )


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


def inbox_row(leg: NewLeg) -> Values:
    """Return a row of `inbox`."""
    return (leg.intent.tx_id, leg.intent.leg, leg.slot, int(leg.result))


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
