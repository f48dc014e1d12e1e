"""Compare a shard's own balances with the journal's, at exactly one seq. Pure."""

from collections.abc import Iterable
from typing import NamedTuple

from ledger.domain.account import Account
from ledger.domain.findings import Findings, Kind
from ledger.domain.record import Change, Leg, Record, Side, Status

LegKey = tuple[bytes, int]
OpenLeg = tuple[str, int, bytes]
"""Currency, amount in minor units, destination."""

_OPEN = -1
"""Active or frozen: which of them a wallet was, its closing does not say."""

_STATUS_NAMES = {int(status): status.name for status in Status} | {_OPEN: "ACTIVE or FROZEN"}
_STATUS_BEFORE: dict[int, int] = {Status.FROZEN: Status.ACTIVE, Status.ACTIVE: Status.FROZEN}
"""By the status after a change that is no closing: the journal takes none that changes nothing."""


class Held(NamedTuple):
    """A customer wallet as its shard holds it. Minor units."""

    wallet_id: bytes
    currency: str
    posted: int
    held: int
    overdraft_limit: int
    version: int
    status: int


class Later:
    """What the records after a seq did, so that it can be taken off again."""

    def __init__(self) -> None:
        self.created: set[bytes] = set()
        self.sent: set[LegKey] = set()
        self.closed: set[LegKey] = set()
        """Legs closed after the seq that were sent before it."""
        self._deltas: dict[bytes, int] = {}
        self._versions: dict[bytes, int] = {}
        self._first_changes: dict[bytes, Change] = {}

    def add(self, record: Record) -> None:
        """Add one record; in order."""
        for posting in record.postings:
            _, _, _, source, destination, _, amount, _, source_version, _, version = posting
            self._touch(source, -amount, source_version)
            self._touch(destination, amount, version)
        for change in record.changes:
            self._touch(change.wallet_id, 0, change.version)
            if change.created:
                self.created.add(change.wallet_id)
            first = self._first_changes.setdefault(change.wallet_id, change)
            if change.version < first.version:
                self._first_changes[change.wallet_id] = change
        self.sent |= {_key(leg) for leg in record.legs if leg.side == Side.SENT}
        self.closed |= {_key(leg) for leg in record.legs if leg.side == Side.CLOSED} - self.sent

    def take_off(self, wallet_id: bytes, account: Account) -> Account:
        """Return the account as it was at the seq; a system wallet's version is not told back."""
        posted = account.posted - self._deltas.get(wallet_id, 0)
        version = self._versions.get(wallet_id, account.version + 1) - 1
        change = self._first_changes.get(wallet_id)
        status = account.status if change is None else _STATUS_BEFORE.get(change.status, _OPEN)
        return account._replace(posted=posted, version=version, status=status)

    def _touch(self, wallet_id: bytes, delta: int, version: int) -> None:
        self._deltas[wallet_id] = self._deltas.get(wallet_id, 0) + delta
        self._versions[wallet_id] = min(self._versions.get(wallet_id, version), version)


class Comparison:
    """One reconciliation: fed with both sides, it counts and reports."""

    def __init__(self, findings: Findings) -> None:
        self.findings = findings
        self.wallets = 0
        self._sums: dict[str, int] = {}

    def fork(self, seq: int, expected: bytes | None, actual: bytes) -> None:
        """Compare the hashes of the record at the seq."""
        if expected != actual:
            text = "the shard's chain is not the one that came in"
            shown = "none" if expected is None else expected.hex()
            self.findings.add(Kind.FORK, text, shown, actual.hex(), seq=seq)

    def customers(self, held: Iterable[Held], booked: dict[bytes, Account]) -> None:
        """Compare the wallets of a range of ids."""
        rest = dict(booked)
        for wallet in held:
            self._customer(wallet, rest.pop(wallet.wallet_id, None))
        for wallet_id, account in rest.items():
            text = "the journal has a wallet that the shard does not have"
            self.findings.add(Kind.WALLET, text, account.posted, "none", wallet_id=wallet_id)

    def _customer(self, wallet: Held, booked: Account | None) -> None:
        self.wallets += 1
        self._sums[wallet.currency] = self._sums.get(wallet.currency, 0) + wallet.posted
        id_ = wallet.wallet_id
        available = wallet.posted - wallet.held + wallet.overdraft_limit
        if available < 0:
            self.findings.add(
                Kind.NEGATIVE, "available is negative", "0 or more", available, wallet_id=id_
            )
        if wallet.held != 0:
            text = "an amount is held, but no record has opened a hold"
            self.findings.add(Kind.HOLD, text, 0, wallet.held, wallet_id=id_)
        if booked is None:
            text = "the shard has a wallet that the journal does not have"
            self.findings.add(Kind.WALLET, text, "none", wallet.posted, wallet_id=id_)
            return
        for name, expected, actual in (
            ("currency", booked.currency, wallet.currency),
            ("posted", booked.posted, wallet.posted),
            ("version", booked.version, wallet.version),
            # No record grants one yet; unchecked it would hide any balance below zero.
            ("overdraft_limit", 0, wallet.overdraft_limit),
        ):
            if expected != actual:
                text = f"{name} of the shard is not the journal's"
                self.findings.add(Kind.BALANCE, text, expected, actual, wallet_id=id_)
        self._status(wallet, booked.status)

    def _status(self, wallet: Held, booked: int) -> None:
        """Compare the status: it alone says whether the wallet may pay."""
        fits = wallet.status == booked
        if booked == _OPEN:
            fits = wallet.status in (Status.ACTIVE, Status.FROZEN)
        if not fits:
            text = "status of the shard is not the journal's"
            expected, actual = _status_text(booked), _status_text(wallet.status)
            self.findings.add(Kind.WALLET, text, expected, actual, wallet_id=wallet.wallet_id)

    def system(self, held: dict[bytes, tuple[str, int]], booked: dict[bytes, Account]) -> None:
        """Compare the system wallets; one that is missing holds nothing."""
        for wallet_id in sorted(held.keys() | booked.keys()):
            self.wallets += 1
            currency, actual = held.get(wallet_id, ("", 0))
            account = booked.get(wallet_id)
            expected = account.posted if account else 0
            self._sums[currency] = self._sums.get(currency, 0) + actual
            if expected != actual:
                text = "posted of the shard's system wallet is not the journal's"
                self.findings.add(Kind.BALANCE, text, expected, actual, wallet_id=wallet_id)

    def intents(self, held: dict[LegKey, OpenLeg], booked: dict[LegKey, OpenLeg]) -> None:
        """Compare the open intents."""
        for key in sorted(held.keys() | booked.keys()):
            expected, actual = booked.get(key), held.get(key)
            if expected != actual:
                text = f"open intent with leg {key[1]} is not the journal's"
                self.findings.add(
                    Kind.LEG, text, leg_text(expected), leg_text(actual), tx_id=key[0]
                )

    def sums(self) -> None:
        """Check that each currency of the shard's own balances sums to zero."""
        for currency, total in sorted(self._sums.items()):
            if total != 0:
                text = f"the shard's balances in {currency} do not sum to zero"
                self.findings.add(Kind.SUM, text, 0, total)


def leg_text(leg: OpenLeg | None) -> str:
    """Show an open leg to a person."""
    return "none" if leg is None else f"{leg[1]} {leg[0]} to {leg[2].hex()}"


def _status_text(status: int) -> str:
    return _STATUS_NAMES.get(status, str(status))


def _key(leg: Leg) -> LegKey:
    return (leg.tx_id, leg.leg)
