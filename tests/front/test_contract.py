"""Whatever the contract lets a caller send, the answer is one that the contract tells of.

schemathesis makes requests of every operation out of the document, some about things that are
there. Streams are tried elsewhere: a Watch never ends, a statement is lines of JSON and may wait
long for its position.
"""

import asyncio
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, seed, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.front.door import ROLES, opened
from walletkit.stack import Stack

DOCUMENT = Path(__file__).resolve().parents[2] / "gen/openapi.json"
EXAMPLES = 4
DEADLINE_S = 20.0
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
document = schemathesis.openapi.from_path(DOCUMENT)
# Made while tests are collected, and for minutes: what is generated is enough.
document.config.phases.update(phases=["fuzzing"])
contract = document.exclude(operation_id=["NotifyService_Watch", "LedgerService_GetStatement"])


@dataclass(frozen=True, slots=True)
class Known:
    """Things that are there, by the name of what names them."""

    url: str
    token: str
    ids: dict[str, list[str]]

    def put_into(self, value: Any, turn: int) -> Any:  # noqa: ANN401  # JSON
        """Name what is there wherever something of its kind is named."""
        if isinstance(value, dict):
            return {name: self._one(name, one, turn) for name, one in value.items()}
        return [self.put_into(one, turn) for one in value] if isinstance(value, list) else value

    def _one(self, name: str, value: Any, turn: int) -> Any:  # noqa: ANN401  # JSON
        kind = name if name in self.ids else f"w{name[-7:]}" if name[-8:] == "WalletId" else ""
        known = self.ids.get(kind)
        # The source of a transfer is another wallet than its destination.
        at = turn + name.startswith("dest")
        return self.put_into(value, turn) if known is None else known[at % len(known)]


@pytest.fixture(scope="module")
def known(suite: Stack) -> Known:
    """Open two wallets with money, hold some of it, and move some."""
    return asyncio.run(_known(suite))


async def _known(suite: Stack) -> Known:
    async with opened(suite) as door:
        names = [f"known-{secrets.token_hex(4)}" for _ in range(2)]
        wallets = [await door.wallet(name, 1_000_000) for name in names]
        hold = await door.hold(wallets[0])
        amount = {"currencyCode": "EUR", "amountMinor": "100"}
        moved = await door.post(
            "/v1/transfers",
            {
                "sourceWalletId": wallets[0],
                "destinationWalletId": wallets[1],
                "amount": amount,
            },
        )
    ids = {
        "walletId": wallets,
        "holdId": [hold],
        "transactionId": [moved["transaction"]["transactionId"]],
        "accountId": names,
        "currencyCode": ["EUR"],
    }
    return Known(suite.rest_url, suite.issuer.sign("tester", ROLES), ids)


@contract.parametrize()
@seed(20260701)
@settings(
    max_examples=EXAMPLES,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
    deadline=None,
    database=None,
)
def test_answers_are_those_of_the_contract(case: "schemathesis.Case[Any]", known: Known) -> None:
    """No operation fails in a way of ours, or answers what the contract does not tell."""
    turn = len(repr(case.body)) + len(repr(case.query))
    if turn % 2:
        case.path_parameters = known.put_into(case.path_parameters, turn)
        case.body = known.put_into(case.body, turn)
    case.call_and_validate(
        base_url=known.url,
        headers={"authorization": f"Bearer {known.token}"},
        checks=CHECKS,
        timeout=DEADLINE_S,
    )
