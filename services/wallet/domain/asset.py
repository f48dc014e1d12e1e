"""Decide the registration of assets that ISO 4217 does not know.

An asset never changes: its exponent says what every amount of it means. So a second registration
is either the same, and nothing more, or refused.
"""

from wallet.domain.audit import AuditEvent
from wallet.domain.batch import Batch, NewAsset
from wallet.domain.commands import RegisterAsset
from wallet.domain.kinds import AuditAction
from wallet.domain.outcome import AssetSet
from walletkit.errors import ServiceError

MAX_ASSETS = 10_000
"""Every process keeps all of them in memory, for good."""


def decide_register(batch: Batch, command: RegisterAsset) -> AssetSet | ServiceError:
    """Register the asset; one that is registered as asked stays as it is."""
    currency, exponent = command.currency, command.exponent
    found = batch.assets.get(currency)
    if found is None:
        if batch.asset_count + len(batch.changes.assets) >= MAX_ASSETS:
            return ServiceError(
                "ASSET_LIMIT",
                f"{MAX_ASSETS} assets are registered; {currency} would be one more",
                {"currency_code": currency, "limit": str(MAX_ASSETS)},
            )
        batch.assets[currency] = exponent
        batch.changes.audit_events.append(
            AuditEvent(AuditAction.REGISTER_ASSET, len(batch.changes.assets), command.cause)
        )
        batch.changes.assets.append(NewAsset(currency, exponent, command.slot))
    elif found != exponent:
        return ServiceError(
            "ASSET_EXISTS",
            f"asset {currency} is registered with exponent {found}, not {exponent}",
            {
                "currency_code": currency,
                "exponent": str(found),
                "requested_exponent": str(exponent),
            },
        )
    return AssetSet(currency, exponent, replayed=False)
