"""The client has every call of the services; the blocking one has all that the async one has."""

import inspect
import re
from collections.abc import Callable
from typing import Any, get_type_hints

import pytest

from guilder.client import Guilder, suite, sync
from guilder.client.accounts import AccountClient
from guilder.client.assets import AssetClient
from guilder.client.audit import AuditClient
from guilder.client.holds import HoldClient
from guilder.client.keys import KeyClient
from guilder.client.ledger import LedgerClient
from guilder.client.limits import LimitClient
from guilder.client.notify import NotifyClient
from guilder.client.wallet import WalletClient
from tests.client.fake_wallet import SERVICES, FakeWallet, empty, serving, serving_sync

TWINS: dict[type, type] = {
    suite.Guilder: sync.Guilder,
    WalletClient: sync.SyncWallet,
    HoldClient: sync.SyncHolds,
    LimitClient: sync.SyncLimits,
    AccountClient: sync.SyncAccounts,
    AssetClient: sync.SyncAssets,
    AuditClient: sync.SyncAudit,
    LedgerClient: sync.SyncLedger,
    NotifyClient: sync.SyncNotify,
    KeyClient: sync.SyncKeys,
}

INTERNAL = {
    "guilder.ledger.v1.LedgerService": {"ingest", "list_transactions"},
    "guilder.notify.v1.NotifyService": {"ingest"},
}

CLIENTS: dict[str, tuple[type, ...]] = {
    "guilder.wallet.v1.WalletService": (
        WalletClient,
        HoldClient,
        LimitClient,
        AccountClient,
        AssetClient,
    ),
    "guilder.wallet.v1.WalletAuditService": (AuditClient,),
    "guilder.ledger.v1.LedgerService": (LedgerClient,),
    "guilder.notify.v1.NotifyService": (NotifyClient,),
    "guilder.edge.v1.KeyService": (KeyClient,),
}


def public_methods(kind: type) -> dict[str, Callable[..., Any]]:
    """Return what a caller may call."""
    members = inspect.getmembers(kind, inspect.isfunction)
    return {name: member for name, member in members if not name.startswith("_")}


@pytest.mark.parametrize("service", sorted(SERVICES))
def test_every_call_has_a_method_of_its_name(service: str) -> None:
    """A public RPC is a method of one client, in snake case; its optional fields are parameters."""
    rpcs = {
        re.sub(r"(?<!^)(?=[A-Z])", "_", method.name).lower(): method
        for method in SERVICES[service].methods
    }
    methods = {
        name: item for kind in CLIENTS[service] for name, item in public_methods(kind).items()
    }
    assert rpcs.keys() - methods.keys() == INTERNAL.get(service, set())
    plumbing = {"page_size", "page_token", "format", "batch_id", "atomic"}
    for name in (rpcs.keys() & methods.keys()) - {"batch_execute"}:
        parameters = set(inspect.signature(methods[name]).parameters)
        if "options" in parameters:
            unpacked = get_type_hints(methods[name])["options"].__args__[0]
            parameters |= set(get_type_hints(unpacked))
        fields = {field.name for field in rpcs[name].input_type.fields}
        assert fields - plumbing <= parameters, name


@pytest.mark.parametrize("kind", TWINS, ids=lambda kind: str(kind.__name__))
def test_both_surfaces_have_the_same_methods(kind: type) -> None:
    """Names, parameters, defaults and docstrings are the same; only waiting differs."""
    ours, theirs = public_methods(kind), public_methods(TWINS[kind])
    assert ours.keys() == theirs.keys()
    for name in ours.keys() - {"close", "stream_transfers"}:
        assert inspect.signature(ours[name]) == inspect.signature(theirs[name]), name
        assert inspect.getdoc(ours[name]) == inspect.getdoc(theirs[name]), name


async def test_both_suites_have_the_same_parts() -> None:
    """Each client of the async suite has its twin at the same place of the blocking one."""
    async with serving(FakeWallet(empty)) as guilder:
        ours = {name: type(item) for name, item in vars(guilder).items() if name[0] != "_"}
    with serving_sync(FakeWallet(empty)) as twin:
        theirs = {name: type(item) for name, item in vars(twin).items() if name[0] != "_"}
    assert {name: TWINS.get(kind, kind) for name, kind in ours.items()} == theirs


def test_every_method_says_what_it_does() -> None:
    """Each public method has a docstring."""
    for kind in [*TWINS, Guilder]:
        for name, method in public_methods(kind).items():
            assert inspect.getdoc(method), f"{kind.__name__}.{name}"
