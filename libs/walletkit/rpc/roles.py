"""The one table of who may call what: a role for each RPC. Pure.

A method without a row is refused for everybody; ``docs/authorization.md`` is written from here. A
customer is held to the wallets of one account beyond this table, by the services.
"""

from collections.abc import Mapping
from types import MappingProxyType

from walletkit.errors import ServiceError
from walletkit.principal import Principal, Role

_STAFF = frozenset((Role.OPERATOR, Role.ADMIN))
"""What changes the rules of the game."""
_MOVING = frozenset((Role.SERVICE, *_STAFF))
"""What moves money that is not the caller's, or brings it in and out."""
_OWN = frozenset((Role.CUSTOMER, *_MOVING))
"""What a customer does with own money."""
_READING = frozenset((Role.AUDITOR, *_MOVING))
"""What shows more than one account's affairs."""
_LOOKING = frozenset((Role.CUSTOMER, *_READING))
"""What shows the affairs of an account."""
_PROVING = frozenset((Role.AUDITOR, *_STAFF))
"""What shows or proves whole shards."""
_ADMIN = frozenset((Role.ADMIN,))
"""What gives out credentials."""
_ADMIN_SEEN = frozenset((Role.AUDITOR, Role.ADMIN))
"""What shows how credentials were given out."""
_INTERNAL = frozenset((Role.INTERNAL,))
"""What the services ask each other."""

OPEN = frozenset(("/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/Watch"))
"""What everybody may call, without credentials too."""

_BY_SERVICE: Mapping[str, Mapping[str, frozenset[Role]]] = {
    "guilder.wallet.v1.WalletService": {
        "CreateWallet": _OWN,
        "GetWallet": _LOOKING,
        "UpdateWallet": _MOVING,
        "ListWallets": _LOOKING,
        "GetBalance": _LOOKING,
        "Deposit": _MOVING,
        "Withdraw": _MOVING,
        "Transfer": _OWN,
        "BatchTransfer": _OWN,
        "StreamTransfers": _OWN,
        # And each command in it needs what it needs by itself.
        "BatchExecute": _OWN,
        "PostTransaction": _MOVING,
        "ReverseTransaction": _MOVING,
        "Authorize": _OWN,
        "IncrementHold": _MOVING,
        "ExtendHold": _MOVING,
        "CaptureHold": _MOVING,
        "VoidHold": _MOVING,
        "GetHold": _LOOKING,
        "ListHolds": _LOOKING,
        "GetTransaction": _LOOKING,
        "GetTransactionFamily": _LOOKING,
        "ListTransactions": _LOOKING,
        "FreezeWallet": _STAFF,
        "UnfreezeWallet": _STAFF,
        "CloseWallet": _MOVING,
        "FreezeAccount": _STAFF,
        "UnfreezeAccount": _STAFF,
        "SetWalletLimits": _STAFF,
        "GetWalletLimits": _LOOKING,
        "SetAccountLimits": _STAFF,
        "GetAccountLimits": _LOOKING,
        "RegisterAsset": _STAFF,
        "ListAssets": _LOOKING,
    },
    "guilder.wallet.v1.WalletAuditService": {
        # `guilder verify` asks these as well as the ledger.
        "ListShards": _INTERNAL | _PROVING,
        "StreamBalances": _INTERNAL | _PROVING,
    },
    "guilder.ledger.v1.LedgerService": {
        "Ingest": _INTERNAL,
        "ListEntries": _LOOKING,
        "ListTransactions": _INTERNAL,
        "GetStatement": _LOOKING,
        "GetBalance": _LOOKING,
        "GetTrialBalance": _PROVING,
        "GetChartOfAccounts": _PROVING,
        "ListAuditEvents": _PROVING,
        "VerifyChain": _PROVING,
        "VerifyTransit": _PROVING,
        "Reconcile": _PROVING,
    },
    "guilder.notify.v1.NotifyService": {
        "Ingest": _INTERNAL,
        "CreateSubscription": _MOVING,
        "ListSubscriptions": _READING,
        "DeleteSubscription": _MOVING,
        "ListDeadLetters": _READING,
        "ReplayDeliveries": _MOVING,
        "Watch": _READING,
    },
    "guilder.edge.v1.KeyService": {
        "CreateKey": _ADMIN,
        "ListKeys": _ADMIN,
        "RotateKey": _ADMIN,
        "RevokeKey": _ADMIN,
        "ListKeyEvents": _ADMIN_SEEN,
    },
    "guilder.edge.v1.LimitService": {"TakeTokens": _INTERNAL},
    "envoy.service.auth.v3.Authorization": {"Check": _INTERNAL},
    "grpc.reflection.v1alpha.ServerReflection": {"ServerReflectionInfo": _STAFF},
}

ROLES: Mapping[str, frozenset[Role]] = MappingProxyType(
    {
        f"/{service}/{method}": roles
        for service, methods in _BY_SERVICE.items()
        for method, roles in methods.items()
    }
)
"""By the method's path."""

NOBODY: frozenset[Role] = frozenset()


def roles_of(path: str) -> frozenset[Role]:
    """Return the roles that may call a method; none for one without a row."""
    return ROLES.get(path, NOBODY)


def check(path: str, principal: Principal) -> None:
    """Raise PERMISSION_DENIED when none of the caller's roles may call a method."""
    if roles_of(path).isdisjoint(principal.roles):
        raise denied(path, principal.roles)


def denied(path: str, roles: frozenset[Role] = NOBODY) -> ServiceError:
    """Make the error for a caller with these roles."""
    method = path.rpartition("/")[2]
    allowed = roles_of(path)
    needed = ", ".join(role.value for role in Role if role in allowed) or "no role at all"
    has = ", ".join(role.value for role in Role if role in roles) or "none"
    message = f"{method} takes {needed}; the caller's roles: {has}"
    return ServiceError("PERMISSION_DENIED", message, {"method": method, "roles": needed})
