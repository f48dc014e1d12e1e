#!/usr/bin/env python3
"""Make examples/payroll.csv: companies pay people, people pay each other, in three currencies.

Deterministic: the same seed gives the same bytes. Balances are tracked while rows are made, so that
each row that should pass is covered by the rows above it, and each that should be declined asks for
far more than anybody has, or for the wrong currency.
"""

import csv
import io
import random
import sys
from dataclasses import dataclass, field
from pathlib import Path

SEED = 20_260_131
KEY_PREFIX = "payroll-2026-"
COLUMNS = (
    *("key", "op", "label", "account", "currency"),
    *("source", "destination", "amount", "reference", "expect"),
)
EXPONENTS = {"EUR": 2, "USD": 2, "JPY": 0}
SALARY_MAJOR = {"EUR": (2_100, 6_400), "USD": (2_400, 7_900), "JPY": (240_000, 780_000)}

PEOPLE_PER_COMPANY = 20
SECOND_WALLETS = 60
PAY_RUNS = ("2026-01", "2026-02")
PAYMENTS_PER_RUN = 240
WITHDRAWALS_PER_RUN = 100
OVERDRAWN_PER_RUN = 20
MISMATCHED_PER_RUN = 10

COMPANIES = {
    "EUR": """alpenrad bakkerij-zon cassini-optik delta-werft
        ebro-vino fjordline gelato-nord hanse-kontor""",
    "USD": """acme-tools bluebird-air canyon-coffee dakota-grain
        eastlake-bikes foundry-nine goldleaf harbor-labs""",
    "JPY": """aoba-denki biwa-textile chidori-foods daimon-steel
        enoki-soft fuji-lens ginga-rail hoshi-pharma""",
}
FIRST_NAMES = """
    ada bela chiara daan emi farid greta hana ivo jun
    katya luis mei nils olga paul rin sofia tomas yuki
"""
LAST_NAMES = """
    abe berg costa dietz endo fischer garcia haas ito jansen
    kato lopez mori novak okada pereira rossi sato tanaka weber
"""


@dataclass(slots=True)
class Payroll:
    """The rows so far, and what each wallet then holds in minor units."""

    random: random.Random
    rows: list[dict[str, str]] = field(default_factory=list)
    held: dict[str, int] = field(default_factory=dict)
    currency: dict[str, str] = field(default_factory=dict)

    def add(self, op: str, **values: str) -> None:
        """Add a row with the next key."""
        key = f"{KEY_PREFIX}{len(self.rows) + 1:05d}"
        self.rows.append({"key": key, "op": op, **values})

    def create(self, label: str, account: str, currency: str) -> None:
        """Add a wallet."""
        self.add("create_wallet", label=label, account=account, currency=currency)
        self.held[label] = 0
        self.currency[label] = currency

    def move(self, source: str, destination: str, minor: int, reference: str) -> None:
        """Add a deposit, a withdrawal or a transfer that is covered; an empty side is outside."""
        currency = self.currency[source or destination]
        op = "transfer" if source and destination else "withdraw" if source else "deposit"
        if source:
            assert self.held[source] >= minor > 0
            self.held[source] -= minor
        if destination:
            self.held[destination] += minor
        self.add(
            op,
            source=source,
            destination=destination,
            amount=decimal(minor, currency),
            currency=currency,
            reference=reference,
            expect="OK",
        )

    def decline(self, source: str, destination: str, minor: int, currency: str) -> None:
        """Add a transfer, or withdrawal without destination, that can't pass."""
        mismatch = {currency} != {self.currency[label] for label in (source, destination) if label}
        assert mismatch or minor > max(self.held.values())
        self.add(
            "transfer" if destination else "withdraw",
            source=source,
            destination=destination,
            amount=decimal(minor, currency),
            currency=currency,
            reference="must not pass",
            expect="CURRENCY_MISMATCH" if mismatch else "INSUFFICIENT_FUNDS",
        )


def decimal(minor: int, currency: str) -> str:
    """Write minor units as a decimal of the major unit, without floats."""
    exponent = EXPONENTS[currency]
    if exponent == 0:
        return str(minor)
    major, fraction = divmod(minor, 10**exponent)
    return f"{major}.{fraction:0{exponent}d}"


def make_rows() -> list[dict[str, str]]:
    """Return all rows in their order."""
    payroll = Payroll(random.Random(SEED))  # noqa: S311 - the same rows each time are the point
    staff = _hire(payroll)
    people = [label for paid in staff.values() for label in paid]
    for month in PAY_RUNS:
        _pay(payroll, staff, month)
        _live(payroll, people, month)
    return payroll.rows


def render() -> str:
    """Return the file's text."""
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(make_rows())
    return out.getvalue()


def _hire(payroll: Payroll) -> dict[str, list[str]]:
    """Create all wallets; return the labels of each company's people."""
    staff: dict[str, list[str]] = {}
    number = 0
    first_names, last_names = FIRST_NAMES.split(), LAST_NAMES.split()
    for currency, names in COMPANIES.items():
        for name in names.split():
            company = f"{name}:{currency}"
            payroll.create(company, name, currency)
            staff[company] = []
            for _ in range(PEOPLE_PER_COMPANY):
                number += 1
                first, last = payroll.random.choice(first_names), payroll.random.choice(last_names)
                account = f"{first}-{last}-{number:03d}"
                payroll.create(f"{account}:{currency}", account, currency)
                staff[company].append(f"{account}:{currency}")
    people = [label for paid in staff.values() for label in paid]
    for label in payroll.random.sample(people, SECOND_WALLETS):
        account, currency = label.split(":")
        other = payroll.random.choice([code for code in EXPONENTS if code != currency])
        payroll.create(f"{account}:{other}", account, other)
    return staff


def _pay(payroll: Payroll, staff: dict[str, list[str]], month: str) -> None:
    """Fund every company, then pay its people."""
    wages = {
        label: _between(payroll, *SALARY_MAJOR[payroll.currency[label]], payroll.currency[label])
        for paid in staff.values()
        for label in paid
    }
    for company, paid in staff.items():
        needed = sum(wages[label] for label in paid)
        payroll.move("", company, needed + needed // 50, f"funding {month}")
    for company, paid in staff.items():
        for label in paid:
            payroll.move(company, label, wages[label], f"salary {month}")


def _live(payroll: Payroll, people: list[str], month: str) -> None:
    """Let people pay each other, take cash, and try what they can't."""
    kinds = (
        ["pay"] * PAYMENTS_PER_RUN
        + ["cash"] * WITHDRAWALS_PER_RUN
        + ["overdraw"] * OVERDRAWN_PER_RUN
        + ["mismatch"] * MISMATCHED_PER_RUN
    )
    payroll.random.shuffle(kinds)
    by_currency = {
        currency: [label for label in people if payroll.currency[label] == currency]
        for currency in EXPONENTS
    }
    everybody = sorted(payroll.currency)
    for kind in kinds:
        source = payroll.random.choice(people)
        currency = payroll.currency[source]
        friends = [label for label in by_currency[currency] if label != source]
        friend = payroll.random.choice(friends)
        share = max(1, payroll.held[source] * payroll.random.randint(1, 20) // 100)
        if kind == "pay":
            payroll.move(source, friend, share, f"between friends {month}")
        elif kind == "cash":
            payroll.move(source, "", share, f"cash {month}")
        elif kind == "overdraw":
            target = payroll.random.choice(["", friend])
            payroll.decline(source, target, 900_000_000 * 10 ** EXPONENTS[currency], currency)
        else:
            strangers = [label for label in everybody if payroll.currency[label] != currency]
            payroll.decline(source, payroll.random.choice(strangers), 100, currency)


def _between(payroll: Payroll, low_major: int, high_major: int, currency: str) -> int:
    """Return a random amount between two major amounts, in minor units."""
    scale = 10 ** EXPONENTS[currency]
    return payroll.random.randint(low_major * scale, high_major * scale)


def main() -> None:
    """Write the file beside this one."""
    path = Path(__file__).with_name("payroll.csv")
    path.write_text(render(), encoding="utf-8")
    sys.stdout.write(f"{path.name}: {len(make_rows()):,} rows\n")


if __name__ == "__main__":
    main()
