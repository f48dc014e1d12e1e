"""Call the wallet service about limits, of a wallet and of an account. Client room."""

from typing import Unpack

import grpc.aio

from guilder.client.calls import DEFAULT_POLICY, CallPolicy, change, read
from guilder.client.options import (
    DryRunOptions,
    WalletOptions,
    dry_run_fields,
    wallet_fields,
)
from guilder.wallet.v1 import limits_pb2
from guilder.wallet.v1.resources_pb2 import AccountLimits, WalletLimits
from guilder.wallet.v1.wallet_service_pb2_grpc import WalletServiceStub


class LimitClient:
    """Limits. Every method raises ``GuilderError`` by reason."""

    def __init__(self, channel: grpc.aio.Channel, policy: CallPolicy = DEFAULT_POLICY) -> None:
        """Speak over ``channel`` of the wallet service, which stays its owner's to close."""
        self._stub = WalletServiceStub(channel)
        self._policy = policy

    async def set_wallet_limits(
        self,
        wallet_id: str,
        limits: WalletLimits,
        *,
        reason: str = "",
        timeout_seconds: float | None = None,
        **options: Unpack[WalletOptions],
    ) -> limits_pb2.SetWalletLimitsResponse:
        """Replace a wallet's limits, its credit line included: what is not given is no bound.

        Raise ``WalletNotFoundError``, ``WalletClosedError``, ``OverdraftInUseError``,
        ``VersionMismatchError``.
        """
        request = limits_pb2.SetWalletLimitsRequest(
            wallet_id=wallet_id, limits=limits, reason=reason, **wallet_fields(options)
        )
        return await change(self._stub.SetWalletLimits, request, self._policy, timeout_seconds)

    async def get_wallet_limits(
        self, wallet_id: str, *, timeout_seconds: float | None = None
    ) -> limits_pb2.GetWalletLimitsResponse:
        """Get a wallet's limits, and what is used of them. Raise ``WalletNotFoundError``."""
        request = limits_pb2.GetWalletLimitsRequest(wallet_id=wallet_id)
        return await read(self._stub.GetWalletLimits, request, self._policy, timeout_seconds)

    async def set_account_limits(
        self,
        account_id: str,
        currency_code: str,
        limits: AccountLimits,
        *,
        reason: str = "",
        timeout_seconds: float | None = None,
        **options: Unpack[DryRunOptions],
    ) -> limits_pb2.SetAccountLimitsResponse:
        """Replace what bounds all wallets of an account in one currency together.

        Raise ``AccountNotFoundError``, ``AccountTooLargeError``.
        """
        request = limits_pb2.SetAccountLimitsRequest(
            account_id=account_id,
            currency_code=currency_code,
            limits=limits,
            reason=reason,
            **dry_run_fields(options),
        )
        return await change(self._stub.SetAccountLimits, request, self._policy, timeout_seconds)

    async def get_account_limits(
        self, account_id: str, currency_code: str, *, timeout_seconds: float | None = None
    ) -> limits_pb2.GetAccountLimitsResponse:
        """Get an account's limits in one currency, and what is used of them."""
        request = limits_pb2.GetAccountLimitsRequest(
            account_id=account_id, currency_code=currency_code
        )
        return await read(self._stub.GetAccountLimits, request, self._policy, timeout_seconds)
