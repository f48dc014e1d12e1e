"""Call the wallet service about holds: reserve, then capture or release. Client room."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Unpack

import grpc.aio

from guilder.client import commands as make
from guilder.client.amounts import Amount
from guilder.client.calls import DEFAULT_POLICY, CallPolicy, change, read
from guilder.client.options import HoldOptions, MoneyOptions, WalletOptions
from guilder.client.pages import page_size, walk
from guilder.wallet.v1 import holds_pb2
from guilder.wallet.v1.resources_pb2 import HOLD_STATE_UNSPECIFIED, Hold, HoldState
from guilder.wallet.v1.wallet_service_pb2_grpc import WalletServiceStub


class HoldClient:
    """Holds. Every method raises ``GuilderError`` by reason.

    What changes a hold may be refused by ``HoldNotFoundError``, ``HoldEndedError``,
    ``WalletFrozenError`` (not a void), ``WalletClosedError``, ``VersionMismatchError``; below these
    are "those of holds". "Those of money" are named at ``WalletClient``.
    """

    def __init__(self, channel: grpc.aio.Channel, policy: CallPolicy = DEFAULT_POLICY) -> None:
        """Speak over ``channel`` of the wallet service, which stays its owner's to close."""
        self._stub = WalletServiceStub(channel)
        self._policy = policy

    async def authorize(
        self,
        wallet_id: str,
        amount: Amount,
        *,
        destination_wallet_id: str = "",
        expire_time: datetime | None = None,
        timeout_seconds: float | None = None,
        **options: Unpack[HoldOptions],
    ) -> holds_pb2.AuthorizeResponse:
        """Reserve money of a wallet, for 7 days where no ``expire_time`` is given.

        With a destination captures go there alone. Raise those of money, ``HoldExpireTimeError``.
        """
        request = make.authorize_request(
            wallet_id,
            amount,
            destination_wallet_id=destination_wallet_id,
            expire_time=expire_time,
            **options,
        )
        return await change(self._stub.Authorize, request, self._policy, timeout_seconds)

    async def increment_hold(
        self,
        hold_id: str,
        amount: Amount,
        *,
        timeout_seconds: float | None = None,
        **options: Unpack[WalletOptions],
    ) -> holds_pb2.IncrementHoldResponse:
        """Reserve more under a hold. Raise those of holds and of money."""
        request = make.increment_hold_request(hold_id, amount, **options)
        return await change(self._stub.IncrementHold, request, self._policy, timeout_seconds)

    async def extend_hold(
        self,
        hold_id: str,
        expire_time: datetime,
        *,
        timeout_seconds: float | None = None,
        **options: Unpack[WalletOptions],
    ) -> holds_pb2.ExtendHoldResponse:
        """Let a hold end later. Raise those of holds, ``HoldExpireTimeError``."""
        request = make.extend_hold_request(hold_id, expire_time, **options)
        return await change(self._stub.ExtendHold, request, self._policy, timeout_seconds)

    async def capture_hold(
        self,
        hold_id: str,
        amount: Amount | None = None,
        *,
        final: bool = False,
        destination_wallet_id: str = "",
        timeout_seconds: float | None = None,
        **options: Unpack[MoneyOptions],
    ) -> holds_pb2.CaptureHoldResponse:
        """Move money that a hold reserves: an amount of it, else all that is open.

        A ``final`` capture releases the rest. Without a destination, of the hold or here, the money
        leaves the suite. Raise those of holds and of money, ``HoldOverCaptureError``,
        ``HoldDestinationMismatchError``.
        """
        request = make.capture_hold_request(
            hold_id,
            amount,
            final=final,
            destination_wallet_id=destination_wallet_id,
            **options,
        )
        return await change(self._stub.CaptureHold, request, self._policy, timeout_seconds)

    async def void_hold(
        self,
        hold_id: str,
        *,
        timeout_seconds: float | None = None,
        **options: Unpack[WalletOptions],
    ) -> holds_pb2.VoidHoldResponse:
        """Release what a hold still reserves. Raise those of holds."""
        request = make.void_hold_request(hold_id, **options)
        return await change(self._stub.VoidHold, request, self._policy, timeout_seconds)

    async def get_hold(self, hold_id: str, *, timeout_seconds: float | None = None) -> Hold:
        """Get a hold as its shard has it now. Raise ``HoldNotFoundError``."""
        request = holds_pb2.GetHoldRequest(hold_id=hold_id)
        return (await read(self._stub.GetHold, request, self._policy, timeout_seconds)).hold

    def list_holds(
        self,
        wallet_id: str,
        *,
        state: HoldState.ValueType = HOLD_STATE_UNSPECIFIED,
        limit: int | None = None,
        timeout_seconds: float | None = None,
    ) -> AsyncIterator[Hold]:
        """Iterate over a wallet's holds, newest first, all or those in one state.

        Raise ``WalletNotFoundError``.
        """

        async def fetch(token: str) -> tuple[Sequence[Hold], str]:
            request = holds_pb2.ListHoldsRequest(
                wallet_id=wallet_id, state=state, page_size=page_size(limit), page_token=token
            )
            page = await read(self._stub.ListHolds, request, self._policy, timeout_seconds)
            return page.holds, page.next_page_token

        return walk(fetch, limit)
