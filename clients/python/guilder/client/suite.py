"""Hold the channels to the three services, and a client for each. The only file that opens any."""

from dataclasses import dataclass
from types import TracebackType
from typing import Self

import grpc.aio

from guilder.client.accounts import AccountClient
from guilder.client.assets import AssetClient
from guilder.client.audit import AuditClient
from guilder.client.calls import DEFAULT_POLICY, PROOF_TIMEOUT_SECONDS, CallPolicy
from guilder.client.holds import HoldClient
from guilder.client.ledger import LedgerClient
from guilder.client.limits import LimitClient
from guilder.client.notify import NotifyClient
from guilder.client.wallet import WalletClient

MAX_MESSAGE_BYTES = 16 * 1024 * 1024
"""Of one message, in either direction: a page or batch of 1,000 stays far below."""

CLOSE_GRACE_SECONDS = 1.0
"""How long calls in flight may go on when the channels are closed."""

_OPTIONS = (
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    # gRPC waits a second and more before it connects again; a restarted service is back sooner.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    # A dead peer is noticed while calls wait for it.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
)


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the services listen, ``host:port``."""

    wallet: str = "localhost:50051"
    ledger: str = "localhost:50052"
    notify: str = "localhost:50053"


class Guilder:
    """The whole suite: ``async with Guilder() as guilder: await guilder.wallet.transfer(...)``.

    Opens its channels lazily, at the first call. To be made inside a running event loop.
    """

    def __init__(
        self,
        addresses: Addresses = Addresses(),
        policy: CallPolicy = DEFAULT_POLICY,
        proof_timeout_seconds: float = PROOF_TIMEOUT_SECONDS,
    ) -> None:
        """Make the channels; nothing is sent yet."""
        self.addresses = addresses
        targets = (addresses.wallet, addresses.ledger, addresses.notify)
        self._channels = [grpc.aio.insecure_channel(target, options=_OPTIONS) for target in targets]
        wallet, ledger, notify = self._channels
        self.wallet = WalletClient(wallet, policy)
        self.holds = HoldClient(wallet, policy)
        self.limits = LimitClient(wallet, policy)
        self.accounts = AccountClient(wallet, policy)
        self.assets = AssetClient(wallet, policy)
        self.audit = AuditClient(wallet, policy, proof_timeout_seconds)
        self.ledger = LedgerClient(ledger, policy, proof_timeout_seconds)
        self.notify = NotifyClient(notify, policy)

    async def close(self) -> None:
        """Close the channels."""
        for channel in self._channels:
            await channel.close(CLOSE_GRACE_SECONDS)

    async def __aenter__(self) -> Self:
        """Return itself."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the channels."""
        await self.close()
