"""Put a credential on every call of a channel: as metadata, so that it works without TLS."""

import re
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import grpc
import grpc.aio

AUTHORIZATION = "authorization"
"""The metadata that has a caller's token."""

_TOKEN = re.compile(r"[!-~]+")

Token = Callable[[], str]
"""Gives the token of now; called for each call, so it must be quick."""


def pair_of(token: str) -> tuple[str, str]:
    """Return the metadata that carries a token.

    Raise ``ValueError``, which does not show it, for what gRPC would refuse with its text.
    """
    if not _TOKEN.fullmatch(token):
        raise ValueError("a token must be printable ASCII without spaces")
    return AUTHORIZATION, f"Bearer {token}"


def bearing(channel: grpc.aio.Channel, token: Token) -> grpc.aio.Channel:
    """Return a channel whose calls carry a token; closing it closes the channel."""
    return carrying(channel, lambda: pair_of(token()))


def carrying(channel: grpc.aio.Channel, pair: Callable[[], tuple[str, str]]) -> grpc.aio.Channel:
    """Return a channel whose calls carry one pair of metadata more, asked for at each call.

    Closing it closes the channel.
    """
    return _Carrying(channel, pair)


class _Carrying(grpc.aio.Channel):
    """All goes to the channel; what it starts gets one more pair of metadata."""

    def __init__(self, channel: grpc.aio.Channel, pair: Callable[[], tuple[str, str]]) -> None:
        self._channel = channel
        self._pair = pair

    def unary_unary(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401  # gRPC's own types
        return self._carry(self._channel.unary_unary(*args, **kwargs))

    def unary_stream(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        return self._carry(self._channel.unary_stream(*args, **kwargs))

    def stream_unary(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        return self._carry(self._channel.stream_unary(*args, **kwargs))

    def stream_stream(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        return self._carry(self._channel.stream_stream(*args, **kwargs))

    async def close(self, grace: float | None = None) -> None:
        await self._channel.close(grace)

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:  # noqa: FBT001, FBT002
        return self._channel.get_state(try_to_connect)

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        await self._channel.wait_for_state_change(last_observed_state)

    async def channel_ready(self) -> None:
        await self._channel.channel_ready()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    def _carry(self, start: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, metadata: Any = None, **kwargs: Any) -> Any:  # noqa: ANN401
            given = (*(metadata or ()), self._pair())
            return start(*args, metadata=given, **kwargs)

        return call
