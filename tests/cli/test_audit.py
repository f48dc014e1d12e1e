"""`guilder audit`: asks for what it says; shows each action, and what was before and after."""

import json

from guilder.events.v1 import record_pb2 as events
from guilder.ledger.v1.audit_events_pb2 import AuditEvent, AuditState, ListAuditEventsResponse
from guilder.wallet.v1.resources_pb2 import (
    FREEZE_SCOPE_ALL,
    WALLET_STATUS_CLOSED,
    WALLET_STATUS_FROZEN,
    WalletLimits,
)
from tests.cli.fake_suite import FakeSuite
from tests.cli.test_requests import AT, Run

EVENTS = [
    AuditEvent(
        action=events.AUDIT_ACTION_CLOSE_WALLET,
        wallet_id="w-1",
        account_id="ann",
        currency_code="EUR",
        exponent=2,
        actor="ops-1",
        reason="gone\x1b[2J",
        before=AuditState(
            status=WALLET_STATUS_FROZEN, limits=WalletLimits(overdraft_limit_minor=1_234)
        ),
        after=AuditState(status=WALLET_STATUS_CLOSED, limits=WalletLimits()),
    ),
    AuditEvent(
        action=events.AUDIT_ACTION_FREEZE_ACCOUNT,
        account_id="ann",
        before=AuditState(),
        after=AuditState(account_freeze=FREEZE_SCOPE_ALL),
    ),
    AuditEvent(
        action=events.AUDIT_ACTION_REVERSE_TRANSACTION,
        wallet_id="w-2",
        original_transaction_id="t-1",
        currency_code="JPY",
        before=AuditState(),
        after=AuditState(reversed_minor=500),
    ),
    AuditEvent(
        action=events.AUDIT_ACTION_REGISTER_ASSET,
        currency_code="GOLD",
        exponent=4,
        before=AuditState(),
        after=AuditState(registered=True),
    ),
    AuditEvent(action=200, actor="ops-1", reason="newer"),  # type: ignore[arg-type]  # not known yet
]
SHOWN = [
    ("close wallet", "w-1", "frozen; overdraft 12.34", "closed; no limits", "ops-1"),
    ("freeze account", "ann", "not frozen", "frozen: all", "trusted"),
    ("reverse transaction", "t-1", "0 JPY reversed", "500 JPY reversed"),
    ("register asset", "GOLD", "unknown", "4 decimals"),
    ("200", "newer"),
]


def test_filters_are_sent_as_given(run: Run, fake: FakeSuite) -> None:
    """Each option is a filter of the request; an alias is looked up, as the ledger knows none."""
    options = ("--account", "a", "--actor", "ops", "--limit", "7", "--from", "2026-01-31T09:00:00")
    actions = ("--action", "close-wallet", "--action", "register-asset")
    result = run("audit", "list", "--wallet", "alias:a/x", *options, *actions)
    assert result.exit_code == 0, result.output
    assert fake.requests("ListAuditEvents") == [
        {
            "walletId": "w-1",
            "accountId": "a",
            "actor": "ops",
            "actions": ["AUDIT_ACTION_CLOSE_WALLET", "AUDIT_ACTION_REGISTER_ASSET"],
            "startTime": AT,
            "pageSize": 7,
        }
    ]
    assert "Admin actions: none." in result.output


def test_actions_are_shown_with_what_they_changed(run: Run, fake: FakeSuite) -> None:
    """A line each: on what, before, after, who and why; what others wrote drives no terminal."""
    fake.answers["ListAuditEvents"] = ListAuditEventsResponse(events=EVENTS)
    result = run("audit", "list")
    assert result.exit_code == 0, result.output
    shown = " ".join(result.output.replace("\N{BOX DRAWINGS LIGHT VERTICAL}", " ").split())
    for texts in SHOWN:
        for word in " ".join(texts).replace(";", " ").split():
            assert word in shown, texts
    assert "\x1b" not in result.output
    document = json.loads(run("audit", "list", "--json").stdout)
    assert [event["actor"] for event in document["events"]] == ["ops-1", "", "", "", "ops-1"]
    assert document["events"][0]["before"]["limits"]["overdraftLimitMinor"] == "1234"


def test_unknown_actions_are_not_sent(run: Run, fake: FakeSuite) -> None:
    """A filter that names no action is a usage error."""
    result = run("audit", "list", "--action", "bribe")
    assert (result.exit_code, "--action" in result.stderr) == (2, True)
    assert not fake.asked
