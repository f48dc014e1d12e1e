"""Reach the services as the command line was told to, for what no client of theirs asks."""

from collections.abc import Callable

import grpc.aio

from guilder.cli.session import Session
from guilder.client.access import pair_from
from walletkit.rpc.bearer import carrying

Dial = Callable[[str], grpc.aio.Channel]


def dialler(session: Session) -> Dial:
    """Return what opens channels with the credentials that the command line was given."""
    pair = pair_from(session.access.token, session.access.api_key)
    encryption = None if session.access.tls is None else session.access.tls.credentials()

    def dial(address: str) -> grpc.aio.Channel:
        if encryption is None:
            channel = grpc.aio.insecure_channel(address)
        else:
            channel = grpc.aio.secure_channel(address, encryption)
        return channel if pair is None else carrying(channel, pair)

    return dial
