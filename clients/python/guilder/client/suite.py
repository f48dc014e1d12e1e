"""Hold the channels to the services, and the clients over them. The only file to open any.

A channel looks after itself: it connects again when a connection is lost, notices a dead peer by
keepalive, and takes all addresses of a name in turn.
"""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import grpc.aio

from guilder.client.access import Pair, Tls, Token, pair_from
from guilder.client.accounts import AccountClient
from guilder.client.assets import AssetClient
from guilder.client.audit import AuditClient
from guilder.client.calls import DEFAULT_POLICY, PROOF_TIMEOUT_SECONDS, CallPolicy
from guilder.client.health import (
    ALL_SERVICES,
    CHECK_TIMEOUT_SECONDS,
    READY_TIMEOUT_SECONDS,
    Health,
    ServiceName,
)
from guilder.client.holds import HoldClient
from guilder.client.keys import KeyClient
from guilder.client.ledger import LedgerClient
from guilder.client.limits import LimitClient
from guilder.client.notify import NotifyClient
from guilder.client.wallet import WalletClient
from walletkit.rpc.bearer import carrying

MAX_MESSAGE_BYTES = 16 * 1024 * 1024
"""Of one message, in either direction: a page or batch of 1,000 stays far below."""

CLOSE_GRACE_SECONDS = 1.0
"""How long calls in flight may go on when the channels are closed."""

_SERVICE_CONFIG = json.dumps({"loadBalancingConfig": [{"round_robin": {}}]})

_OPTIONS = (
    # A name with several addresses, such as a headless Kubernetes service, gets its calls in turn.
    ("grpc.service_config", _SERVICE_CONFIG),
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
    edge: str = "localhost:50054"

    @classmethod
    def behind(cls, front: str) -> Self:
        """Return the addresses of services that Envoy is in front of: all are its own.

        It passes on what is public alone: neither health, nor what the proofs ask of shards.
        """
        return cls(front, front, front, front)


DEFAULT_ADDRESSES = Addresses()


class Guilder:
    """The whole suite: ``async with Guilder() as guilder: await guilder.wallet.transfer(...)``.

    ``wallet``, ``holds``, ``limits``, ``accounts`` and ``assets`` call the wallet service,
    ``audit`` its internal one; ``ledger`` and ``notify`` call theirs, ``keys`` edge. Channels are
    opened lazily, at the first call. To be made, used and closed inside one running event loop; not
    to be carried over a fork. With a ``token`` every call carries it as ``authorization: Bearer``;
    an ``api_key`` in its place goes to Envoy, which alone understands it. Both are in the clear
    without ``tls``: then give them only over a network that may see them. ``guilder.client.sync``
    has the same for code without a loop.
    """

    def __init__(
        self,
        addresses: Addresses = DEFAULT_ADDRESSES,
        policy: CallPolicy = DEFAULT_POLICY,
        proof_timeout_seconds: float = PROOF_TIMEOUT_SECONDS,
        token: Token | None = None,
        *,
        api_key: str | None = None,
        tls: Tls | None = None,
    ) -> None:
        """Make the channels; nothing is sent yet.

        Raise ``ValueError`` for credentials that can't be sent, ``OSError`` for a file of ``tls``
        that can't be read.
        """
        pair = pair_from(token, api_key)
        encryption = None if tls is None else tls.credentials()
        self.addresses = addresses
        targets = (addresses.wallet, addresses.ledger, addresses.notify, addresses.edge)
        self._channels = [_channel(target, encryption, pair) for target in targets]
        wallet, ledger, notify, edge = self._channels
        self._health = Health({"wallet": wallet, "ledger": ledger, "notify": notify})
        self.wallet = WalletClient(wallet, policy)
        self.holds = HoldClient(wallet, policy)
        self.limits = LimitClient(wallet, policy)
        self.accounts = AccountClient(wallet, policy)
        self.assets = AssetClient(wallet, policy)
        self.audit = AuditClient(wallet, policy, proof_timeout_seconds)
        self.ledger = LedgerClient(ledger, policy, proof_timeout_seconds)
        self.notify = NotifyClient(notify, policy)
        self.keys = KeyClient(edge, policy)

    async def healthy(
        self,
        services: Sequence[ServiceName] = ALL_SERVICES,
        *,
        timeout_seconds: float = CHECK_TIMEOUT_SECONDS,
    ) -> bool:
        """Tell whether all of these services say that they serve, now. Raise nothing."""
        return await self._health.healthy(services, timeout_seconds=timeout_seconds)

    async def wait_ready(
        self,
        timeout_seconds: float = READY_TIMEOUT_SECONDS,
        services: Sequence[ServiceName] = ALL_SERVICES,
    ) -> None:
        """Return when all of these services have said that they serve.

        Raise ``UnavailableError`` that names those that have not in time.
        """
        await self._health.wait_ready(timeout_seconds, services)

    async def close(self) -> None:
        """Close the channels; calls in flight get a second to end. Again is nothing new."""
        await asyncio.gather(*(channel.close(CLOSE_GRACE_SECONDS) for channel in self._channels))

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


def _channel(
    target: str, encryption: grpc.ChannelCredentials | None, pair: Pair | None
) -> grpc.aio.Channel:
    if encryption is None:
        channel = grpc.aio.insecure_channel(target, options=_OPTIONS)
    else:
        channel = grpc.aio.secure_channel(target, encryption, options=_OPTIONS)
    return channel if pair is None else carrying(channel, pair)
