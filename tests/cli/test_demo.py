"""`guilder demo` on the real suite: twice, the same balances, and nothing is left behind."""

import asyncio
import re
from collections.abc import Callable

from typer.testing import Result

from guilder.client import Addresses, Guilder
from tests.cli.payrolls import PAYROLL
from walletkit.stack import Stack


def fingerprint_in(text: str) -> str:
    """Return the fingerprint that a demo printed."""
    match = re.search(r"Fingerprint of all 564 balances: ([0-9a-f]{16})", text)
    assert match is not None, text
    return match[1]


async def subscriptions(suite: Stack) -> list[str]:
    """Return the targets of all subscriptions."""
    async with Guilder(Addresses(notify=suite.address("notify"))) as guilder:
        return [item.url async for item in guilder.notify.list_subscriptions()]


def test_the_demo_twice(suite: Stack, cli: Callable[..., Result]) -> None:
    """Both runs end clean with the same fingerprint; the second moves nothing again and says so."""
    first = cli("demo", "--file", str(PAYROLL))
    again = cli("demo", "--file", str(PAYROLL))
    assert (first.exit_code, again.exit_code) == (0, 0), first.output + again.output
    assert fingerprint_in(first.stdout) == fingerprint_in(again.stdout)
    assert "0 new, 2,252 replayed" in again.stdout
    assert "no money moved again" in again.stdout
    for text in ("Statement of ", "The signature is right.", "rows/s", "every invariant holds"):
        assert text in again.stdout
    assert asyncio.run(subscriptions(suite)) == []


def test_the_demo_needs_its_file(cli: Callable[..., Result]) -> None:
    """A missing file is a usage error that names it."""
    result = cli("demo", "--file", str(PAYROLL.with_name("none.csv")))
    assert result.exit_code == 2
    assert "none.csv" in result.stderr
