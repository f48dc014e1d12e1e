"""Fingerprints: every field that a caller chooses counts, and keys of before are known again."""

from typing import Any

import pytest

from tests.api.suite import money, request_of
from wallet.api import verbs
from wallet.api.form import Form
from wallet.api.known import Known, Original
from wallet.domain import idempotency
from wallet.domain.commands import Line
from wallet.domain.kinds import TransactionType
from wallet.store.queries import HoldFacts
from walletkit.ids import NIL, format_id, new_id, slot_of

ONE, OTHER, THIRD = sorted(new_id(slot) for slot in (1, 2, 3))
HOLD, SECOND_HOLD, MADE, POSTED = new_id(7), new_id(7), new_id(8), new_id(9)
AMOUNTS: dict[str, Any] = {"amount": money(5)}
TEXTS: dict[str, Any] = {"description": "x", "metadata": {"x": ""}, "reference": "x"}
AT: dict[str, Any] = {"effective_time": {"seconds": 5}}
VERSION: dict[str, Any] = {"expected_version": 3}


def known() -> Known:
    """Return what a process knows that has read two holds and two transactions."""
    found = Known()
    for hold in (HOLD, SECOND_HOLD):
        found.holds.keep(hold, HoldFacts(ONE, "EUR", NIL, b"of the hold"))
    family = (TransactionType.TRANSFER, OTHER, ONE, "EUR", 9, b"of it", MADE, (), False)
    found.originals.keep(MADE, Original(*family))
    lines = (Line(OTHER, ONE, "EUR", 9), Line(OTHER, ONE, "EUR", 1))
    several = (TransactionType.POSTING, OTHER, ONE, "EUR", 9, b"", POSTED, lines, False)
    found.originals.keep(POSTED, Original(*several))
    return found


def line(source: bytes | str, destination: bytes | str, amount: int = 5) -> dict[str, Any]:
    """Write one posting."""
    sides = [one if isinstance(one, str) else format_id(one) for one in (source, destination)]
    return {
        "source_wallet_id": sides[0],
        "destination_wallet_id": sides[1],
        "amount": money(amount),
    }


LIMIT = {"window": 1, "basis": 1, "max_count": 3}

Fields = dict[str, Any]
CASES: dict[str, tuple[verbs.AnyVerb, Fields, list[Fields]]] = {
    "Transfer": (
        verbs.TRANSFER,
        {**line(ONE, OTHER)},
        [line(ONE, THIRD), line(ONE, OTHER, 6), {"amount": money(5, "USD")}, AT, VERSION],
    ),
    "Deposit": (
        verbs.DEPOSIT,
        {"wallet_id": format_id(ONE), **AMOUNTS},
        [{"amount": money(6)}, AT, VERSION],
    ),
    "Withdraw": (
        verbs.WITHDRAW,
        {"wallet_id": format_id(ONE), **AMOUNTS},
        [{"amount": money(6)}, AT, VERSION],
    ),
    "Authorize": (
        verbs.AUTHORIZE,
        {"wallet_id": format_id(ONE), **AMOUNTS},
        [
            {"amount": money(6)},
            {"amount": money(5, "USD")},
            {"destination_wallet_id": format_id(OTHER)},
            {"expire_time": {"seconds": 5}},
            VERSION,
        ],
    ),
    "IncrementHold": (
        verbs.INCREMENT_HOLD,
        {"hold_id": format_id(HOLD), **AMOUNTS},
        [{"hold_id": format_id(SECOND_HOLD)}, {"amount": money(6)}, VERSION],
    ),
    "ExtendHold": (
        verbs.EXTEND_HOLD,
        {"hold_id": format_id(HOLD), "expire_time": {"seconds": 5}},
        [{"hold_id": format_id(SECOND_HOLD)}, {"expire_time": {"seconds": 6}}, VERSION],
    ),
    "CaptureHold": (
        verbs.CAPTURE_HOLD,
        {"hold_id": format_id(HOLD)},
        [
            {"hold_id": format_id(SECOND_HOLD)},
            {"amount": money(5)},
            {"amount": money(6)},
            {"final": True},
            {"destination_wallet_id": format_id(OTHER)},
            AT,
            VERSION,
        ],
    ),
    "VoidHold": (
        verbs.VOID_HOLD,
        {"hold_id": format_id(HOLD)},
        [{"hold_id": format_id(SECOND_HOLD)}, VERSION],
    ),
    "ReverseTransaction": (
        verbs.REVERSE_TRANSACTION,
        {"transaction_id": format_id(MADE)},
        [
            {"transaction_id": format_id(POSTED)},
            {"amount": money(5)},
            {"reason": "x"},
            {"actor": "x"},
            AT,
            VERSION,
        ],
    ),
    "PostTransaction": (
        verbs.POST_TRANSACTION,
        {"postings": [line(ONE, OTHER), line(ONE, "sys:fees")]},
        [
            {"postings": [line(ONE, "sys:fees"), line(ONE, OTHER)]},
            {"postings": [line(ONE, OTHER)]},
            {"postings": [line(ONE, OTHER), line(ONE, "sys:world")]},
            {"postings": [line(ONE, OTHER, 6), line(ONE, "sys:fees")]},
            {"expected_versions": {format_id(OTHER): 3}},
            {"expected_versions": {format_id(OTHER): 4}},
            AT,
        ],
    ),
    "CreateWallet": (
        verbs.CREATE_WALLET,
        {"account_id": "a", "currency_code": "EUR"},
        [{"currency_code": "USD"}, {"alias": "x"}],
    ),
    "UpdateWallet": (
        verbs.UPDATE_WALLET,
        {"wallet_id": format_id(ONE)},
        [VERSION],
    ),
    "FreezeWallet": (verbs.FREEZE_WALLET, {"wallet_id": format_id(ONE)}, [{"scope": 1}, VERSION]),
    "UnfreezeWallet": (verbs.UNFREEZE_WALLET, {"wallet_id": format_id(ONE)}, [VERSION]),
    "CloseWallet": (verbs.CLOSE_WALLET, {"wallet_id": format_id(ONE)}, [VERSION]),
    "FreezeAccount": (verbs.FREEZE_ACCOUNT, {"account_id": "a"}, [{"scope": 1}]),
    "UnfreezeAccount": (verbs.UNFREEZE_ACCOUNT, {"account_id": "a"}, []),
    "SetWalletLimits": (
        verbs.SET_WALLET_LIMITS,
        {"wallet_id": format_id(ONE)},
        [
            {"limits": {"overdraft_limit_minor": 1}},
            {"limits": {"min_balance_minor": 0}},
            {"limits": {"max_balance_minor": 0}},
            {"limits": {"max_transaction_minor": 0}},
            {"limits": {"over_capture_percent": 1}},
            {"limits": {"velocity": [LIMIT]}},
            {"limits": {"velocity": [{**LIMIT, "window": 2}]}},
            {"limits": {"velocity": [{**LIMIT, "basis": 2}]}},
            {"limits": {"velocity": [{**LIMIT, "max_count": 4}]}},
            {"limits": {"velocity": [{**LIMIT, "max_amount_minor": 4}]}},
            VERSION,
        ],
    ),
    "SetAccountLimits": (
        verbs.SET_ACCOUNT_LIMITS,
        {"account_id": "a", "currency_code": "EUR"},
        [{"currency_code": "USD"}, {"limits": {"velocity": [LIMIT]}}],
    ),
    "RegisterAsset": (
        verbs.REGISTER_ASSET,
        {"currency_code": "GOLDX", "exponent": 3},
        [{"exponent": 4}],
    ),
}


def read(method: str, fields: Fields) -> Any:  # noqa: ANN401  # any command
    """Read a request."""
    request = request_of(method)(idempotency_key="k", **fields)
    return CASES[method][0].parse(request, Form(known()))


@pytest.mark.parametrize("method", CASES)
def test_t20_every_field_counts(method: str) -> None:
    """A request that differs in any one field has another fingerprint, and the same key."""
    _, fields, others = CASES[method]
    names = request_of(method).DESCRIPTOR.fields_by_name
    texts = [{name: text} for name, text in TEXTS.items() if name in names]
    commands = [read(method, {**fields, **other}) for other in [{}, *others, *texts]]
    assert len({command.fingerprint for command in commands}) == len(commands)
    assert len({command.key_hash for command in commands}) == 1
    assert {len(command.fingerprint) for command in commands} == {33}
    tried = read(method, {**fields, "validate_only": True})
    assert tried.fingerprint == commands[0].fingerprint
    assert tried.ref != commands[0].ref
    assert slot_of(tried.ref) == tried.slot


def test_commands_are_never_taken_for_each_other() -> None:
    """No two kinds of commands have the same fingerprint."""
    found = {read(method, fields).fingerprint for method, (_, fields, _) in CASES.items()}
    assert len(found) == len(CASES)


def test_scopes() -> None:
    """The wallet that a key belongs to, as callers are told."""

    def scope(method: str, wallet: bytes, **fields: object) -> bool:
        command = read(method, {**CASES[method][1], **fields})
        return bool(command.key_hash == idempotency.key_hash(b"", wallet, "k"))

    assert scope("Transfer", ONE)
    assert scope("Deposit", ONE)
    assert scope("Authorize", ONE)
    assert scope("CaptureHold", ONE)
    assert scope("ReverseTransaction", ONE)
    assert scope("PostTransaction", ONE)
    two = [line(THIRD, ONE), line(OTHER, ONE), line("sys:world", ONE)]
    assert scope("PostTransaction", OTHER, postings=two)
    assert scope("PostTransaction", ONE, postings=[line("sys:fees", THIRD), line("sys:fees", ONE)])
    assert scope("CreateWallet", b"a")
    assert scope("RegisterAsset", b"asset:GOLDX")


def test_keys_of_before_are_known_again() -> None:
    """Fingerprints that older programs have stored: a change of these breaks retries."""
    one, other = bytes(range(16)), bytes(range(16, 32))
    texts = (b"r", b'{"d":"x"}')
    made = (
        idempotency.transfer_fingerprint(3, one, other, "EUR", 5, -1, *texts),
        idempotency.create_fingerprint("acc", "EUR", b""),
        idempotency.status_fingerprint(2, one),
        idempotency.key_hash(b"", one, "k"),
    )
    assert [value.hex() for value in made] == [
        "01381a496dfa3ac4fbd1d094722476a9277abbeb5e57305c109c8763549c157649",
        "0171010cf7d57c38821d4e0c57f647c847b15365116bf95536123e1b24e939b669",
        "01e3776733a556ab99cc84b1467ad5a23dc4c79978dacc2fd7173db24c01dc7bbf",
        "1aa7f658f1fe310bc261ce6ad50567fc",
    ]
