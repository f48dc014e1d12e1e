"""Call the wallet service about accounts as a whole. Client room."""

from typing import Unpack

import grpc.aio

from guilder.client.calls import DEFAULT_POLICY, CallPolicy, change
from guilder.client.options import DryRunOptions, dry_run_fields
from guilder.wallet.v1 import limits_pb2
from guilder.wallet.v1.resources_pb2 import FREEZE_SCOPE_UNSPECIFIED, FreezeScope
from guilder.wallet.v1.wallet_service_pb2_grpc import WalletServiceStub


class AccountClient:
    """All wallets of an account. Every method raises ``GuilderError`` by reason."""

    def __init__(self, channel: grpc.aio.Channel, policy: CallPolicy = DEFAULT_POLICY) -> None:
        """Speak over ``channel`` of the wallet service, which stays its owner's to close."""
        self._stub = WalletServiceStub(channel)
        self._policy = policy

    async def freeze_account(
        self,
        account_id: str,
        *,
        scope: FreezeScope.ValueType = FREEZE_SCOPE_UNSPECIFIED,
        reason: str = "",
        timeout_seconds: float | None = None,
        **options: Unpack[DryRunOptions],
    ) -> limits_pb2.FreezeAccountResponse:
        """Freeze all wallets of an account, those created later included; for all or for debits.

        Raise ``AccountNotFoundError``, ``AccountFrozenError``, ``AccountTooLargeError``.
        """
        request = limits_pb2.FreezeAccountRequest(
            account_id=account_id, scope=scope, reason=reason, **dry_run_fields(options)
        )
        return await change(self._stub.FreezeAccount, request, self._policy, timeout_seconds)

    async def unfreeze_account(
        self,
        account_id: str,
        *,
        reason: str = "",
        timeout_seconds: float | None = None,
        **options: Unpack[DryRunOptions],
    ) -> limits_pb2.UnfreezeAccountResponse:
        """Undo ``freeze_account``; wallets that are frozen by themselves stay so.

        Raise ``AccountNotFoundError``, ``AccountNotFrozenError``, ``AccountTooLargeError``.
        """
        request = limits_pb2.UnfreezeAccountRequest(
            account_id=account_id, reason=reason, **dry_run_fields(options)
        )
        return await change(self._stub.UnfreezeAccount, request, self._policy, timeout_seconds)
