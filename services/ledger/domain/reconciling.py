"""Compare a shard's own balances with the journal's, at exactly one seq. Pure."""

from collections.abc import Iterable
from typing import NamedTuple

from ledger.domain.account import Account
from ledger.domain.findings import Findings, Kind
from ledger.domain.holding import Hold, Holds
from ledger.domain.record import Change, Freeze, Leg, Record, Side, Status

LegKey = tuple[bytes, int]
OpenLeg = tuple[str, int, bytes]
"""Currency, amount in minor units, destination."""

_OPEN = -1
"""Active or frozen: which of them a wallet was, its closing did not say in the first records."""

_STATUS_NAMES = {int(status): status.name for status in Status} | {_OPEN: "ACTIVE or FROZEN"}
_FREEZE_NAMES = {int(freeze): freeze.name for freeze in Freeze}
_STATUS_BEFORE: dict[int, int] = {Status.FROZEN: Status.ACTIVE, Status.ACTIVE: Status.FROZEN}
"""By the status after a change that does not say what was before it, and is no closing."""


class Held(NamedTuple):
    """A customer wallet as its shard holds it. Minor units."""

    wallet_id: bytes
    currency: str
    posted: int
    held: int
    overdraft_limit: int
    version: int
    status: int
    account_freeze: int


class Later:
    """What the records after a seq did, so that it can be taken off again."""

    def __init__(self) -> None:
        self.created: set[bytes] = set()
        self.sent: set[LegKey] = set()
        self.closed: set[LegKey] = set()
        """Legs closed after the seq that were sent before it."""
        self.holds: set[bytes] = set()
        """Holds changed after the seq."""
        self._reserved: dict[bytes, int] = {}
        self._deltas: dict[bytes, int] = {}
        self._versions: dict[bytes, int] = {}
        self._first_changes: dict[bytes, Change] = {}

    def add(self, record: Record) -> None:
        """Add one record; in order."""
        for posting in record.postings:
            _, _, _, source, destination, _, amount, _, source_version, _, version, _ = posting
            self._touch(source, -amount, source_version)
            self._touch(destination, amount, version)
        for change in record.changes:
            self._touch(change.wallet_id, 0, change.version)
            if change.created:
                self.created.add(change.wallet_id)
            first = self._first_changes.setdefault(change.wallet_id, change)
            if change.version < first.version:
                self._first_changes[change.wallet_id] = change
        for held in record.holds:
            self._touch(held.wallet_id, 0, held.version)
            self.holds.add(held.hold_id)
        self.sent |= {_key(leg) for leg in record.legs if leg.side == Side.SENT}
        self.closed |= {_key(leg) for leg in record.legs if leg.side == Side.CLOSED} - self.sent

    def take_off_holds(self, now: Holds, before: Holds) -> None:
        """Take what the changed holds reserve, and reserved at the seq, for ``take_off``."""
        for sign, holds in ((1, now), (-1, before)):
            for hold in holds.values():
                reserved = self._reserved.get(hold.wallet_id, 0)
                self._reserved[hold.wallet_id] = reserved + sign * hold.open

    def take_off(self, wallet_id: bytes, account: Account) -> Account:
        """Return the account as it was at the seq; a system wallet's version is not told back."""
        account = account._replace(
            posted=account.posted - self._deltas.get(wallet_id, 0),
            version=self._versions.get(wallet_id, account.version + 1) - 1,
            held=account.held - self._reserved.get(wallet_id, 0),
        )
        change = self._first_changes.get(wallet_id)
        if change is None:
            return account
        return account._replace(
            status=change.previous_status or _STATUS_BEFORE.get(change.status, _OPEN),
            overdraft_limit=change.previous_limit,
            account_freeze=change.previous_freeze,
        )

    def _touch(self, wallet_id: bytes, delta: int, version: int) -> None:
        self._deltas[wallet_id] = self._deltas.get(wallet_id, 0) + delta
        self._versions[wallet_id] = min(self._versions.get(wallet_id, version), version)


class Comparison:
    """One reconciliation: fed with both sides, it counts and reports."""

    def __init__(self, findings: Findings) -> None:
        self.findings = findings
        self.wallets = 0
        self._held: dict[bytes, int] = {}
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
            self._held[id_] = wallet.held
        if booked is None:
            text = "the shard has a wallet that the journal does not have"
            self.findings.add(Kind.WALLET, text, "none", wallet.posted, wallet_id=id_)
            return
        for name, expected, actual in (
            ("currency", booked.currency, wallet.currency),
            ("posted", booked.posted, wallet.posted),
            ("version", booked.version, wallet.version),
            ("overdraft_limit", booked.overdraft_limit, wallet.overdraft_limit),
        ):
            if expected != actual:
                text = f"{name} of the shard is not the journal's"
                self.findings.add(Kind.BALANCE, text, expected, actual, wallet_id=id_)
        if booked.held != wallet.held:
            text = "held of the shard is not the journal's"
            self.findings.add(Kind.HOLD, text, booked.held, wallet.held, wallet_id=id_)
        self._status(wallet, booked.status)
        if booked.account_freeze != wallet.account_freeze:
            text = "freeze of the account of the shard is not the journal's"
            pair = _freeze_text(booked.account_freeze), _freeze_text(wallet.account_freeze)
            self.findings.add(Kind.WALLET, text, *pair, wallet_id=id_)

    def _status(self, wallet: Held, booked: int) -> None:
        """Compare the status: with the account's freeze it says whether the wallet may pay."""
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

    def holds(self, held: Holds, booked: Holds) -> None:
        """Compare the open holds one by one, and what they reserve with what is held (I8).

        All customers must have been compared before.
        """
        for hold_id in sorted(held.keys() | booked.keys()):
            expected, actual = booked.get(hold_id), held.get(hold_id)
            if expected != actual:
                text = f"open hold {hold_id.hex()} is not the journal's"
                wallet_id = (expected or actual or _NO_HOLD).wallet_id
                pair = hold_text(expected), hold_text(actual)
                self.findings.add(Kind.HOLD, text, *pair, wallet_id=wallet_id)
        reserved: dict[bytes, int] = {}
        for hold in booked.values():
            reserved[hold.wallet_id] = reserved.get(hold.wallet_id, 0) + hold.open
        for wallet_id in sorted(reserved.keys() | self._held.keys()):
            sum_, amount = reserved.get(wallet_id, 0), self._held.get(wallet_id, 0)
            if sum_ != amount:
                text = "what is held is not the sum of the open holds"
                self.findings.add(Kind.HOLD, text, sum_, amount, wallet_id=wallet_id)

    def sums(self) -> None:
        """Check that each currency of the shard's own balances sums to zero."""
        for currency, total in sorted(self._sums.items()):
            if total != 0:
                text = f"the shard's balances in {currency} do not sum to zero"
                self.findings.add(Kind.SUM, text, 0, total)


def leg_text(leg: OpenLeg | None) -> str:
    """Show an open leg to a person."""
    return "none" if leg is None else f"{leg[1]} {leg[0]} to {leg[2].hex()}"


def hold_text(hold: Hold | None) -> str:
    """Show a hold to a person."""
    if hold is None:
        return "none"
    return (
        f"state {hold.state}, {hold.authorized} {hold.currency}, {hold.captured} captured,"
        f" {hold.released} released, until {hold.expire_time_us}, of {hold.wallet_id.hex()}"
    )


_NO_HOLD = Hold(0, b"", "", 0, 0, 0, 0, 0)


def _freeze_text(freeze: int) -> str:
    return _FREEZE_NAMES.get(freeze, str(freeze))


def _status_text(status: int) -> str:
    return _STATUS_NAMES.get(status, str(status))


def _key(leg: Leg) -> LegKey:
    return (leg.tx_id, leg.leg)
