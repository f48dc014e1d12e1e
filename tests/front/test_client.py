"""The Python client and the command line through Envoy, by TLS, with a token or an API key."""

import asyncio
from pathlib import Path

import pytest
from typer.testing import CliRunner

from guilder.cli.app import app
from guilder.client import Addresses, Guilder, Tls, UnauthenticatedError
from tests.auth.certificates import Authority
from tests.front.beside import envoy
from tests.front.calls import account
from tests.front.door import Door
from walletkit.stack import Stack

ROLES = ("service", "operator")


async def test_the_client_goes_through_envoy(door: Door, suite: Stack, tmp_path: Path) -> None:
    """A token, and an API key that edge made, both over TLS; without either nothing."""
    authority = Authority(tmp_path)
    certificate, key = authority.issue("envoy")
    direct = Addresses(edge=suite.address("edge"))
    async with Guilder(direct) as guilder:
        made = await guilder.keys.create_key("shop", ROLES)
    async with envoy(suite, tmp_path, tls_cert=certificate, tls_key=key) as url:
        front, tls = Addresses.behind(url.partition("://")[2]), Tls(authority.ca)
        async with Guilder(front, token=door.token, tls=tls) as guilder:
            wallet = (await guilder.wallet.create_wallet(account(), "EUR")).wallet
        async with Guilder(front, api_key=made.credential, tls=tls) as guilder:
            assert (await guilder.wallet.get_wallet(wallet.wallet_id)).wallet_id == wallet.wallet_id
        wrong = f"{made.credential[:-64]}{'0' * 64}"
        for api_key in (wrong, None):
            async with Guilder(front, api_key=api_key, tls=tls) as guilder:
                with pytest.raises(UnauthenticatedError):
                    await guilder.wallet.get_wallet(wallet.wallet_id)
        done = await asyncio.to_thread(
            CliRunner().invoke,
            app,
            ["wallet", "show", wallet.wallet_id],
            env={
                "GUILDER_ADDRESS": front.wallet,
                "GUILDER_TLS_CA": str(authority.ca),
                "GUILDER_API_KEY": made.credential,
            },
        )
        assert done.exit_code == 0, done.output
        assert wallet.wallet_id in done.stdout
