"""Call the wallet service about assets: what can be held and counted. Client room."""

from typing import Unpack

import grpc.aio

from guilder.client.calls import DEFAULT_POLICY, CallPolicy, change, read
from guilder.client.options import DryRunOptions, dry_run_fields
from guilder.wallet.v1 import limits_pb2
from guilder.wallet.v1.resources_pb2 import Asset
from guilder.wallet.v1.wallet_service_pb2_grpc import WalletServiceStub


class AssetClient:
    """Assets. Every method raises ``GuilderError`` by reason."""

    def __init__(self, channel: grpc.aio.Channel, policy: CallPolicy = DEFAULT_POLICY) -> None:
        """Speak over ``channel`` of the wallet service, which stays its owner's to close."""
        self._stub = WalletServiceStub(channel)
        self._policy = policy

    async def register_asset(
        self,
        currency_code: str,
        exponent: int,
        *,
        reason: str = "",
        timeout_seconds: float | None = None,
        **options: Unpack[DryRunOptions],
    ) -> limits_pb2.RegisterAssetResponse:
        """Register an asset that ISO 4217 does not know; it never changes.

        Raise ``AssetExistsError`` where it is registered with another exponent.
        """
        request = limits_pb2.RegisterAssetRequest(
            currency_code=currency_code, exponent=exponent, reason=reason, **dry_run_fields(options)
        )
        return await change(self._stub.RegisterAsset, request, self._policy, timeout_seconds)

    async def list_assets(self, *, timeout_seconds: float | None = None) -> list[Asset]:
        """List all that can be held, by code: ISO 4217, and what is registered."""
        request = limits_pb2.ListAssetsRequest()
        reply = await read(self._stub.ListAssets, request, self._policy, timeout_seconds)
        return list(reply.assets)
