"""Every public call gives over REST what it gives over gRPC, through Envoy and without it."""

import asyncio
import json
import time
from collections.abc import Sequence

import grpc.aio
import pytest
from google.protobuf.message import Message

from guilder.wallet.v1 import wallet_service_pb2 as pb
from guilder.wallet.v1 import wallet_service_pb2_grpc as stubs
from tests.front.calls import CALLS, NOTIFY, account
from tests.front.door import Door, public_rpcs
from walletkit.front.rpcs import GRPC_ONLY, SERVICES
from walletkit.stack import Stack

AGREE_S = 20.0
OF_THE_MOMENT = ("replayed", "position", "positions", "next_page_token", "key", "credential")
"""What differs between a call and its repetition: an API key is another one each time."""


def same(replies: Sequence[Message]) -> list[Message]:
    """Leave out what a repetition may answer differently."""
    for reply in replies:
        parts = [reply, *(part.response for part in getattr(reply, "results", ()) if _moves(part))]
        for part in parts:
            for name in OF_THE_MOMENT:
                if name in part.DESCRIPTOR.fields_by_name:
                    part.ClearField(name)
    return list(replies)


def _moves(part: Message) -> bool:
    return "response" in part.DESCRIPTOR.fields_by_name


def test_every_public_call_has_a_case(suite: Stack) -> None:
    """A new call fails here until it has a request in tests/front/calls.py."""
    assert {rpc.path for rpc in public_rpcs(suite)} == CALLS.keys() | GRPC_ONLY


@pytest.mark.parametrize("path", CALLS)
async def test_rest_answers_as_grpc(door: Door, path: str) -> None:
    """By each of its paths: a change is repeated with its key, and a read reads the same."""
    (rpc,) = [rpc for rpc in public_rpcs(door.suite) if rpc.path == path]
    address = door.suite.address(SERVICES[path.split("/")[1]])
    async with grpc.aio.insecure_channel(address) as direct:
        for binding in rpc.bindings:
            request = await CALLS[path](door)
            deadline = time.monotonic() + AGREE_S
            while True:
                over_rest = same(await door.rest(binding, path, request))
                if path == f"{NOTIFY}DeleteSubscription":
                    request = await CALLS[path](door)
                over_grpc = same(await door.grpc(path, request))
                if path == f"{NOTIFY}DeleteSubscription":
                    request = await CALLS[path](door)
                beside = same(await door.grpc(path, request, direct))
                if over_rest == over_grpc == beside or time.monotonic() > deadline:
                    break
                # The ledger may still be catching up with what was made for this case.
                await asyncio.sleep(0.05)
            assert over_rest
            assert over_rest == over_grpc == beside


async def test_an_alias_stands_in_a_path(door: Door) -> None:
    """Its slash is escaped there; a custom verb may follow."""
    name = account()
    await door.post("/v1/wallets", {"accountId": name, "currencyCode": "EUR", "alias": "main"})
    amount = {"currencyCode": "EUR", "amountMinor": "5"}
    await door.post(f"/v1/wallets/alias:{name}%2Fmain:deposit", {"amount": amount})
    reply = await door.send("GET", f"/v1/wallets/alias:{name}%2Fmain/balance")
    assert reply.json["balance"]["postedMinor"] == "5"


async def test_a_header_is_the_idempotency_key(door: Door) -> None:
    """The same key gives the first answer again, whether or not the body says it too."""
    wallet = await door.wallet(account())
    path, headers = f"/v1/wallets/{wallet}:deposit", {"idempotency-key": "k-1"}
    body = {"amount": {"currencyCode": "EUR", "amountMinor": "7"}}
    first = await door.send("POST", path, json=body, headers=headers)
    again = await door.send("POST", path, json=body, headers=headers)
    both = await door.send("POST", path, json={**body, "idempotencyKey": "k-1"}, headers=headers)
    assert first.json["transaction"] == again.json["transaction"] == both.json["transaction"]
    assert [one.json["replayed"] for one in (first, again, both)] == [False, True, True]


async def test_two_different_keys_are_refused(door: Door) -> None:
    """Nobody can know which of them was meant; the field is named, and nothing has changed."""
    wallet = await door.wallet(account(), 0)
    body = {"amount": {"currencyCode": "EUR", "amountMinor": "7"}, "idempotencyKey": "a"}
    reply = await door.send(
        "POST", f"/v1/wallets/{wallet}:deposit", json=body, headers={"idempotency-key": "b"}
    )
    assert reply.status == 400
    (info, fields) = reply.json["details"]
    assert info["reason"] == "INVALID_FIELD"
    assert fields["fieldViolations"][0]["field"] == "idempotency_key"
    balance = await door.send("GET", f"/v1/wallets/{wallet}/balance")
    assert balance.json["balance"]["postedMinor"] == "0"


async def test_streams_in_both_directions_pass(door: Door) -> None:
    """StreamTransfers is public over gRPC: REST can't carry it."""
    source, target = await door.wallet(account()), await door.wallet(account(), 0)
    stub = stubs.WalletServiceStub(door.channel)
    call = stub.StreamTransfers(metadata=tuple(door.bearer.items()), timeout=20)
    for number in (1, 2):
        request = pb.TransferRequest(
            source_wallet_id=source, destination_wallet_id=target, idempotency_key=f"s-{number}"
        )
        request.amount.currency_code, request.amount.amount_minor = "EUR", number
        await call.write(pb.StreamTransfersRequest(batch_id=number, transfers=[request]))
        answer = await call.read()
        assert isinstance(answer, pb.StreamTransfersResponse)
        assert answer.batch_id == number
        assert answer.results[0].response.transaction.amount.amount_minor == number
    await call.done_writing()
    assert await call.read() == grpc.aio.EOF


async def test_a_statement_is_lines_of_json(door: Door) -> None:
    """One part a line, from its header to its footer, sent as they come."""
    wallet = await door.wallet(account())
    deadline = time.monotonic() + AGREE_S
    lines: list[str] = []
    while len(lines) < 3 and time.monotonic() < deadline:
        await asyncio.sleep(0.05)
        reply = await door.send("GET", f"/v1/ledger/wallets/{wallet}/statement")
        lines = reply.text.splitlines() if reply.status == 200 else []
    assert [next(iter(json.loads(line))) for line in lines] == ["header", "lines", "footer"]
