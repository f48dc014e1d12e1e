"""Read what is done to wallets, accounts and assets, but for their limits."""

from guilder.wallet.v1 import limits_pb2 as limits
from guilder.wallet.v1 import resources_pb2 as res
from guilder.wallet.v1 import wallet_service_pb2 as pb
from wallet.api import fields
from wallet.api.form import Form
from wallet.api.parse.cause import cause
from wallet.domain import idempotency
from wallet.domain.commands import (
    ChangeStatus,
    CreateWallet,
    FreezeAccount,
    RegisterAsset,
    UpdateWallet,
)
from wallet.domain.kinds import AccountFreeze, WalletChangeKind, WalletStatus
from walletkit.ids import new_id, slot_of, slot_of_account

ASSET_SLOT = 0
"""All assets are kept on the shard of this slot."""
ASSET_SCOPE = b"asset:"
"""Before an asset's code in a key's scope: no account's id has a colon."""

StatusRequest = pb.FreezeWalletRequest | pb.UnfreezeWalletRequest | pb.CloseWalletRequest

_STATUS_OF = {
    AccountFreeze.DEBITS: WalletStatus.DEBITS_FROZEN,
    AccountFreeze.ALL: WalletStatus.FROZEN,
}


def create(request: pb.CreateWalletRequest, form: Form) -> CreateWallet:
    """Read a wallet's creation. Raise ``ServiceError`` for malformed fields."""
    account_id = form.account(request.account_id)
    currency = form.currency("currency_code", request.currency_code)
    alias = form.read(fields.alias, request.alias)
    key = form.key(request.idempotency_key)
    opaque = form.read(fields.opaque, "", request.metadata)
    form.done()
    slot = slot_of_account(account_id)
    return CreateWallet(
        new_id(slot),
        slot,
        account_id,
        currency,
        opaque,
        idempotency.key_hash(form.client, account_id.encode(), key),
        idempotency.create_fingerprint(account_id, currency, opaque, alias),
        alias,
    )


def update(request: pb.UpdateWalletRequest, form: Form) -> UpdateWallet:
    """Read a replacement of metadata. Raise ``ServiceError`` for malformed fields."""
    wallet_id = form.own("wallet_id", request.wallet_id)
    key = form.key(request.idempotency_key)
    opaque = form.read(fields.opaque, "", request.metadata)
    expected = form.version(request)
    form.done()
    slot = slot_of(wallet_id)
    return UpdateWallet(
        new_id(slot),
        slot,
        wallet_id,
        opaque,
        expected,
        idempotency.key_hash(form.client, wallet_id, key),
        idempotency.update_fingerprint(wallet_id, opaque, expected),
    )


def freeze(request: pb.FreezeWalletRequest, form: Form) -> ChangeStatus:
    """Read a freeze. Raise ``ServiceError`` for malformed fields."""
    scope = _scope(request.scope, form)
    status = _STATUS_OF.get(scope, WalletStatus.FROZEN)
    return change_status(WalletChangeKind.FROZEN, request, form, status)


def unfreeze(request: pb.UnfreezeWalletRequest, form: Form) -> ChangeStatus:
    """Read an unfreeze. Raise ``ServiceError`` for malformed fields."""
    return change_status(WalletChangeKind.UNFROZEN, request, form)


def close(request: pb.CloseWalletRequest, form: Form) -> ChangeStatus:
    """Read a closing. Raise ``ServiceError`` for malformed fields."""
    return change_status(WalletChangeKind.CLOSED, request, form)


def change_status(
    kind: WalletChangeKind,
    request: StatusRequest,
    form: Form,
    status: WalletStatus = WalletStatus.FROZEN,
) -> ChangeStatus:
    """Read a change of status. Raise ``ServiceError`` for malformed fields."""
    wallet_id = form.own("wallet_id", request.wallet_id)
    key = form.key(request.idempotency_key)
    expected = form.version(request)
    why = cause(request.reason, form)
    form.done()
    slot = slot_of(wallet_id)
    return ChangeStatus(
        new_id(slot),
        slot,
        kind,
        wallet_id,
        idempotency.key_hash(form.client, wallet_id, key),
        idempotency.status_fingerprint(kind, wallet_id, status, expected, why.reason),
        status,
        expected,
        why,
    )


def freeze_account(request: limits.FreezeAccountRequest, form: Form) -> FreezeAccount:
    """Read the freeze of an account. Raise ``ServiceError`` for malformed fields."""
    return _freeze_account(_scope(request.scope, form), request, form)


def unfreeze_account(request: limits.UnfreezeAccountRequest, form: Form) -> FreezeAccount:
    """Read the unfreeze of an account. Raise ``ServiceError`` for malformed fields."""
    return _freeze_account(AccountFreeze.NONE, request, form)


def register_asset(request: limits.RegisterAssetRequest, form: Form) -> RegisterAsset:
    """Read the registration of an asset. Raise ``ServiceError`` for malformed fields."""
    form.unconfined()
    currency = form.read(fields.asset_code, request.currency_code)
    exponent = form.read(fields.asset_exponent, request.exponent)
    key = form.key(request.idempotency_key)
    why = cause(request.reason, form)
    form.done()
    return RegisterAsset(
        new_id(ASSET_SLOT),
        ASSET_SLOT,
        currency,
        exponent,
        idempotency.key_hash(form.client, ASSET_SCOPE + currency.encode(), key),
        idempotency.asset_fingerprint(currency, exponent, why.reason),
        why,
    )


def _freeze_account(
    freeze_: AccountFreeze,
    request: limits.FreezeAccountRequest | limits.UnfreezeAccountRequest,
    form: Form,
) -> FreezeAccount:
    account_id = form.account(request.account_id)
    key = form.key(request.idempotency_key)
    why = cause(request.reason, form)
    form.done()
    slot = slot_of_account(account_id)
    return FreezeAccount(
        new_id(slot),
        slot,
        account_id,
        freeze_,
        idempotency.key_hash(form.client, account_id.encode(), key),
        idempotency.freeze_fingerprint(account_id, freeze_, why.reason),
        why,
    )


def _scope(scope: int, form: Form) -> AccountFreeze:
    """Read what a freeze stops; its numbers are those of ``AccountFreeze``."""
    if scope == res.FREEZE_SCOPE_UNSPECIFIED:
        return AccountFreeze.ALL
    return form.read(fields.one_of, AccountFreeze, "scope", scope)
