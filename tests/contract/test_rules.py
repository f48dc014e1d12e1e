"""The contract's table of rules says what the services enforce, by their own constants."""

import fnmatch
import re

import pytest

from notify.domain import subscription, target
from notify.domain.facts import EVENT_TYPES
from tests.contract.documented import catalogue
from tools import errors_doc
from tools.openapi import reasons, rules
from tools.openapi.rules import RULES, short
from wallet.api import batches, fields
from wallet.api.form import Form
from wallet.api.parse import postings
from wallet.domain import limits
from walletkit import ids, money
from walletkit.errors import ServiceError
from walletkit.rpc import pages

SAME = [
    (rules.MAX_AMOUNT_MINOR, money.MAX_AMOUNT_MINOR),
    (rules.MAX_EXPONENT, money.MAX_EXPONENT),
    (rules.MAX_KEY_LENGTH, fields.MAX_KEY_LENGTH),
    (rules.MAX_KEY_LENGTH, subscription.MAX_KEY_LENGTH),
    (rules.MAX_REFERENCE_BYTES, fields.MAX_REFERENCE_BYTES),
    (rules.MAX_REASON_BYTES, fields.MAX_REASON_BYTES),
    (rules.MAX_ACTOR_BYTES, fields.MAX_ACTOR_BYTES),
    (rules.MAX_METADATA_BYTES, fields.MAX_OPAQUE_BYTES),
    (rules.MAX_PAGE_SIZE, pages.MAX_SIZE),
    (rules.DEFAULT_PAGE_SIZE, pages.DEFAULT_SIZE),
    (rules.MAX_BATCH, batches.MAX_COMMANDS),
    (rules.MAX_POSTINGS, postings.MAX_POSTINGS),
    (rules.MAX_EXPECTED_VERSIONS, postings.MAX_EXPECTED_VERSIONS),
    (rules.MAX_VELOCITY_LIMITS, limits.MAX_VELOCITY_LIMITS),
    (rules.MAX_COUNT, limits.MAX_COUNT),
    (rules.MAX_PERCENT, limits.MAX_PERCENT),
    (rules.MAX_URL_LENGTH, target.MAX_URL_LENGTH),
    (rules.MAX_WALLETS, subscription.MAX_WALLETS),
]
SYSTEM = ids.format_id(ids.system_wallet_id(ids.SystemKind.WORLD, 1, "EUR"))


def refuses(check: object, *arguments: object) -> bool:
    """Tell whether a service's check refuses a value."""
    try:
        check(*arguments)  # type: ignore[operator]
    except (ServiceError, ValueError):
        return True
    return False


def fits(rule: rules.Schema, text: str) -> bool:
    """Tell whether a text has a rule's pattern."""
    return re.fullmatch(rule["pattern"].removeprefix("^").removesuffix("$"), text) is not None


@pytest.mark.parametrize(("told", "enforced"), SAME)
def test_bounds_are_the_services(told: int, enforced: int) -> None:
    """A bound that the contract tells is the one that a service enforces."""
    assert told == enforced


def test_event_types_are_notify_s() -> None:
    """The contract lists the event types that notify knows."""
    assert set(rules.EVENT_TYPES) == set(EVENT_TYPES)


NAMES = ["alice", "a.b_c-9", "x" * 64, "x" * 65, "", "a b", "ä", "a/b"]
KEYS = ["k", " ", "~", "k" * 128, "k" * 129, "", "a\nb", "ключ", "\x7f"]
CODES = ["EUR", "eur", "EU", "POINTS", "A" * 12, "A" * 13, "1EU", ""]
IDS = [
    rules.WALLET_EXAMPLE.upper(),
    f"00{rules.WALLET_EXAMPLE[2:]}",
    "019ac0de-7d2a-4a41-9b1f-3c5d8e2f6a70",
    "019ac0de7d2a7a419b1f3c5d8e2f6a70",
    rules.WALLET_EXAMPLE,
    "",
]


@pytest.mark.parametrize("text", NAMES)
def test_names_are_the_services(text: str) -> None:
    """What is an account by the contract is one by the services."""
    assert fits(rules.ACCOUNT, text) != refuses(fields.account_id, text)


@pytest.mark.parametrize("text", KEYS)
def test_keys_are_the_services(text: str) -> None:
    """What is a key by the contract is one by the services."""
    assert fits(rules.KEY, text) != refuses(fields.idempotency_key, text)
    assert fits(rules.KEY, text) == subscription.is_key(text)


@pytest.mark.parametrize("text", IDS)
def test_ids_are_the_services(text: str) -> None:
    """What is an id by the contract is one by the services."""
    assert fits(rules.ID, text) != refuses(ids.parse_id, text)


@pytest.mark.parametrize("text", [*IDS, "alias:alice/main", "alias:alice", "alias:/x", SYSTEM])
def test_wallets_are_the_services(text: str) -> None:
    """What names a wallet by the contract is not malformed for the services."""
    form = Form()
    form.wallet("wallet_id", text)
    try:
        form.done()
        malformed = False
    except ServiceError as error:
        malformed = "is not known here" not in error.message
    assert fits(rules.WALLET, text) != malformed


@pytest.mark.parametrize("text", [*IDS, SYSTEM, "sys:1:nobody:EUR", "sys:01:world:EUR", "sys::"])
def test_booked_wallets_are_the_ledger_s(text: str) -> None:
    """What names a wallet of the journal by the contract does so for the ledger."""
    assert fits(rules.BOOKED_WALLET, text) != refuses(ids.parse_wallet_id, text)


@pytest.mark.parametrize("code", CODES)
def test_codes_are_the_services(code: str) -> None:
    """A code that the contract refuses is none for the services; others they look up."""
    if not fits(rules.CURRENCY, code):
        assert not money.is_asset_code(code)
        assert code not in money.EXPONENTS


@pytest.mark.parametrize("minor", [0, 1, 7, 10**15 - 1, 10**15, 10**15 + 1, 2 * 10**15, -1])
def test_amounts_are_the_services(minor: int) -> None:
    """What is an amount by the contract is one by the services."""
    told = fits(RULES["type.v1.Money.amount_minor"], str(minor))
    assert told == (0 < minor <= money.MAX_AMOUNT_MINOR)


@pytest.mark.parametrize("key", RULES)
def test_every_rule_has_its_field(key: str) -> None:
    """Each line of the table is about a field that a public call has."""
    assert any(fnmatch.fnmatchcase(name, key) for name in reachable())


def reachable() -> set[str]:
    """Name the fields of all requests, and of what is in them."""
    waiting = [one.input_type for _, found in catalogue().public() for one in found]
    seen: set[str] = set()
    names: set[str] = set()
    while waiting:
        kind = waiting.pop()
        if kind.full_name in seen:
            continue
        seen.add(kind.full_name)
        names.update(short(field.full_name) for field in kind.fields)
        waiting += [field.message_type for field in kind.fields if field.message_type is not None]
    return names


def test_statuses_are_those_of_the_page_of_errors() -> None:
    """The contract and docs/errors.md tell the same HTTP status of each code."""
    told = {code.name: status for code, status in errors_doc._HTTP.items()}
    assert {name: reasons.HTTP[name] for name in told} == told
