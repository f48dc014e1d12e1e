"""What is no token, through the suite's own Envoy and edge: API keys, signatures, odd headers."""

import asyncio
import json
import re
import secrets
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import grpc
import grpc.aio
import pytest

from guilder.ledger.v1 import ledger_service_pb2 as ledger
from guilder.ledger.v1 import ledger_service_pb2_grpc as stubs
from guilder.notify.v1 import notify_service_pb2 as notify
from guilder.notify.v1 import notify_service_pb2_grpc as notify_stubs
from tests.edge.world import reason_of
from tests.front.calls import account
from tests.front.door import Door

API_PAGE = Path(__file__).resolve().parents[2] / "docs/api.md"
TIMEOUT_S = 20

Sign = Callable[..., dict[str, str]]


async def made(door: Door, kind: str, **more: object) -> str:
    """Make a key of a service, and return its credential."""
    body = {"kind": kind, "clientId": account(), "roles": ["service"], "reason": "a test"}
    credential: str = (await door.post("/v1/keys", body | more))["credential"]
    return credential


def signing() -> Sign:
    """Return what the page of calls tells callers to sign with."""
    examples = re.findall(r"```python\n(.*?)```", API_PAGE.read_text(encoding="utf-8"), re.DOTALL)
    (example,) = (text for text in examples if "def sign(" in text)
    found: dict[str, Sign] = {}
    exec(example, found)  # noqa: S102  # what the page says, as its reader would run it
    return found["sign"]


async def ending_of(
    watch: grpc.aio.UnaryStreamCall[notify.WatchRequest, notify.WatchResponse],
) -> tuple[str, grpc.aio.AioRpcError]:
    """Read a watch to its end; return its last cursor, and what ended it."""
    cursor = ""
    try:
        async for seen in watch:
            cursor = seen.cursor
    except grpc.aio.AioRpcError as error:
        return cursor, error
    raise AssertionError("a watch never ends by itself")


async def test_an_api_key_is_a_credential(door: Door) -> None:
    """Its holder's roles are what the service sees, and no more; another secret is refused."""
    key = await made(door, "KEY_KIND_BEARER")
    mine = await door.send("GET", "/v1/assets", token="", headers={"x-api-key": key})
    assert mine.status == 200
    beyond = await door.send("GET", "/v1/keys", token="", headers={"x-api-key": key})
    assert (beyond.status, beyond.json["details"][0]["reason"]) == (403, "PERMISSION_DENIED")
    wrong = await door.send("GET", "/v1/assets", token="", headers={"x-api-key": f"{key}0"})
    assert wrong.status == 401
    assert key[-16:] not in wrong.text


async def test_the_audit_log_tells_which_key_acted(door: Door) -> None:
    """An admin who gives a key another's name acts as that key, and not as the other."""
    body = {"kind": "KEY_KIND_BEARER", "clientId": "tester", "roles": ["operator"]}
    key, wallet = await door.post("/v1/keys", body), await door.wallet(account(), 0)
    frozen = await door.send(
        "POST",
        f"/v1/wallets/{wallet}:freeze",
        token="",
        json={},
        headers={"x-api-key": key["credential"], "idempotency-key": secrets.token_hex(8)},
    )
    assert frozen.status == 200, frozen.text
    async with asyncio.timeout(TIMEOUT_S):
        while True:
            found = await door.send("GET", "/v1/ledger/audit-events", params={"walletId": wallet})
            if events := found.json.get("events"):
                break
            await asyncio.sleep(0.1)
    assert [one["actor"] for one in events] == [f"key:tester/{key['key']['keyId']}"]


async def test_a_watch_ends_with_its_key_and_goes_on_from_its_cursor(door: Door) -> None:
    """A silent one too; what happens between the two watches is not lost."""
    wallet = await door.wallet(account(), 0)
    ends = time.time() + 3
    moment = f"{datetime.fromtimestamp(ends, UTC):%Y-%m-%dT%H:%M:%SZ}"
    keys = [await made(door, "KEY_KIND_BEARER", **more) for more in ({"expireTime": moment}, {})]
    watch = notify_stubs.NotifyServiceStub(door.channel).Watch
    request = notify.WatchRequest(wallet_ids=[wallet])
    lines = asyncio.create_task(
        door.send(
            "GET",
            "/v1/events:watch?eventTypes=wallet.closed",
            token="",
            headers={"x-api-key": keys[0]},
        )
    )
    begun = watch(request, timeout=TIMEOUT_S, metadata=[("x-api-key", keys[0])])
    request.cursor, error = await ending_of(begun)
    assert error.code() == grpc.StatusCode.UNAUTHENTICATED
    assert (reason_of(error), bool(request.cursor)) == ("CREDENTIALS_EXPIRED", True)
    # Over REST the lines just end: the status was sent before them.
    told = [json.loads(line) for line in (await lines).text.splitlines()]
    assert told[-1].keys() == {"cursor"}
    amount = {"currencyCode": "EUR", "amountMinor": "5"}
    await door.post(f"/v1/wallets/{wallet}:deposit", {"amount": amount})
    resumed = watch(request, timeout=TIMEOUT_S, metadata=[("x-api-key", keys[1])])
    async for seen in resumed:
        if seen.event.type == "transaction.posted":
            break
    else:
        pytest.fail("the watch ended")
    resumed.cancel()


async def test_a_signed_request_counts_once(door: Door) -> None:
    """Body and key are part of what is signed; sent again, or altered, it is refused."""
    key, sign = await made(door, "KEY_KIND_SIGNING"), signing()
    body = json.dumps({"accountId": account(), "currencyCode": "EUR"}).encode()
    once = secrets.token_hex(8)
    headers = {**sign(key, "POST", "/v1/wallets", body, once), "idempotency-key": once}
    typed = {**headers, "content-type": "application/json"}
    answers = [
        (await door.send("POST", "/v1/wallets", token="", headers=typed, data=sent)).status
        for sent in (body + b" ", body, body)
    ]
    # The altered one has not used the nonce up.
    assert answers == [401, 200, 401]


@pytest.mark.parametrize("header", ["x-signature", "x-api-key"])
async def test_a_stream_takes_keys_and_no_signatures(door: Door, header: str) -> None:
    """A stream's body is never whole, so nobody could say what was signed."""
    request = ledger.GetStatementRequest(wallet_id=await door.wallet(account(), 0))
    if header == "x-api-key":
        metadata = [(header, await made(door, "KEY_KIND_BEARER"))]
    else:
        path = "/guilder.ledger.v1.LedgerService/GetStatement"
        metadata = list(signing()(await made(door, "KEY_KIND_SIGNING"), "POST", path).items())
    call = stubs.LedgerServiceStub(door.channel).GetStatement(
        request, timeout=TIMEOUT_S, metadata=metadata
    )
    try:
        code = grpc.StatusCode.OK if [one async for one in call] else None
    except grpc.aio.AioRpcError as error:
        code = error.code()
    expected = {"x-api-key": grpc.StatusCode.OK, "x-signature": grpc.StatusCode.UNAUTHENTICATED}
    assert code in {expected[header], grpc.StatusCode.NOT_FOUND if header == "x-api-key" else None}


async def test_names_of_headers_that_grpc_has_no_letters_for_are_left_out(door: Door) -> None:
    """HTTP allows them; with one of them a service would end the call as INTERNAL."""
    odd = {"x!a": "1", "`": "2", "x~": "3"}
    assert (await door.send("GET", "/v1/assets", headers=odd)).status == 200
