"""A call that is followed is told of by everybody who works for it, from Envoy to the webhook."""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from tests.front.beside import configuration, envoy, valid
from tests.front.collector import Collector, Told, collecting
from tests.front.door import Door, Json, opened
from walletkit.ids import SLOTS, parse_id, slot_of
from walletkit.stack import Stack
from walletkit.trace import read

LOST_S = 5.0
"""Longer than a process tries to tell."""
QUIET_S = 1.5
"""Longer than any process waits before it tells."""
TRANSFER = "guilder.wallet.v1.WalletService/Transfer"
CALL = f"wallet: {TRANSFER}"
HOPS = {
    "wallet": {TRANSFER, "queue", "commit"},
    "ledger": {"journal"},
    "notify": {"dispatch", "webhook"},
}


class Endpoint:
    """A customer's endpoint: keeps what it is sent."""

    def __init__(self) -> None:
        self.url = ""
        self.posts: list[tuple[str, Json]] = []


@asynccontextmanager
async def endpoint() -> AsyncIterator[Endpoint]:
    """Serve an endpoint for a while."""
    found = Endpoint()

    async def take(request: web.Request) -> web.Response:
        found.posts.append((request.headers.get("traceparent", ""), await request.json()))
        return web.Response()

    app = web.Application()
    app.router.add_post("/", take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        found.url = "http://127.0.0.1:{1}/".format(*runner.addresses[0])
        yield found
    finally:
        await runner.cleanup()


async def wallets(door: Door) -> tuple[str, str]:
    """Make two wallets on two shards."""
    found: dict[int, str] = {}
    while len(found) < 2:
        wallet = await door.wallet(f"traced-{secrets.token_hex(4)}")
        found[slot_of(parse_id(wallet)) * 2 // SLOTS] = wallet
    return found[0], found[1]


async def transfer(door: Door, source: str, destination: str, **headers: str) -> Json:
    """Move a euro, over REST."""
    body = {
        "sourceWalletId": source,
        "destinationWalletId": destination,
        "amount": {"currencyCode": "EUR", "amountMinor": "100"},
    }
    return await door.post("/v1/transfers", body, **headers)


async def test_a_rest_transfer_is_followed_to_its_webhook(
    door: Door, suite: Stack, tmp_path: Path
) -> None:
    """Across shards: one trace holds every hop, each below the one that caused it."""
    file = tmp_path / "spans.jsonl"
    source, destination = await wallets(door)
    async with (
        endpoint() as customer,
        collecting(suite.settings.trace_address, file) as collector,
        envoy(suite, tmp_path, trace_ratio=1.0) as url,
        opened(suite, url) as followed,
    ):
        wanted = {"url": customer.url, "walletIds": [source, destination]}
        await door.post("/v1/subscriptions", wanted)
        await transfer(followed, source, destination)
        await collector.until(lambda: customer.posts[1:], "second delivery")
        header, first = customer.posts[0]
        span = read(header)
        assert span is not None

        def complete() -> bool:
            told = [one.name for one in collector.of(span.trace_id)]
            # Both shards commit, and the home once more: the landed leg is closed there.
            twice = min(map(told.count, ("wallet: commit", "ledger: journal", "notify: webhook")))
            return twice >= 2 and any(name.startswith("envoy") for name in told)

        await collector.until(lambda: [True] if complete() else [], "whole trace")
        told = collector.of(span.trace_id)
    check(collector, told)
    assert read(first["traceparent"]) is not None
    webhooks = {one.span.span_id for one in told if one.span.name == "webhook"}
    assert {read(header) for header, _ in customer.posts} == {
        span._replace(span_id=span_id) for span_id in webhooks
    }
    exported = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    assert exported


def check(collector: Collector, told: list[Told]) -> None:
    """Look at each span of a trace: who told it, and below which other it hangs."""
    by_id = {one.span.span_id: one for one in told}
    roots = [one for one in told if not one.span.parent_span_id]
    assert [one.service for one in roots] == ["envoy"]
    assert all(one.span.parent_span_id in by_id for one in told if one not in roots)
    for service, names in HOPS.items():
        found = {one.span.name for one in told if one.service == service}
        assert names <= found, service
    (call,) = [one for one in told if one.name == CALL]
    assert by_id[call.span.parent_span_id].service == "envoy"
    assert call.values["rpc.grpc.status_code"] == 0
    for one in told:
        assert one.span.start_time_unix_nano <= one.span.end_time_unix_nano, one.name
        if one.span.name in {"queue", "commit", "journal", "dispatch", "webhook"}:
            assert by_id[one.span.parent_span_id] is call
    shards = {one.values["guilder.shard"] for one in told if one.span.name == "commit"}
    assert shards == {0, 1}
    batches = {one.span.span_id: one for one in collector.spans if one.span.name == "batch"}
    for one in told:
        if one.span.name == "commit":
            (link,) = one.span.links
            batch = batches[link.span_id]
            assert call.span.span_id in {linked.span_id for linked in batch.span.links}
            assert batch.values["guilder.seq"] == one.values["guilder.seq"]


@pytest.mark.parametrize("trusted", [False, True])
async def test_callers_have_calls_followed_only_where_they_are_trusted(
    door: Door, suite: Stack, tmp_path: Path, *, trusted: bool
) -> None:
    """Otherwise what they say of their traces is taken off: a span costs work."""
    trace_id = secrets.token_bytes(16)
    theirs = f"00-{trace_id.hex()}-{secrets.token_hex(8)}-01"
    source, destination = await wallets(door)
    async with (
        collecting(suite.settings.trace_address, tmp_path / "spans") as collector,
        envoy(suite, tmp_path, trace_callers=trusted) as url,
        opened(suite, url) as other,
    ):
        await transfer(other, source, destination, traceparent=theirs)
        if trusted:
            await collector.until(
                lambda: [one for one in collector.of(trace_id) if one.span.name == "journal"],
                "journal",
            )
        await asyncio.sleep(QUIET_S)
        assert bool(collector.of(trace_id)) == trusted


async def test_a_refused_call_says_so(door: Door, suite: Stack, tmp_path: Path) -> None:
    """Its span has failed, and has the status that the caller got."""
    source, destination = await wallets(door)
    body = {
        "sourceWalletId": source,
        "destinationWalletId": destination,
        "amount": {"currencyCode": "EUR", "amountMinor": "100000000"},
    }
    async with (
        collecting(suite.settings.trace_address, tmp_path / "spans") as collector,
        envoy(suite, tmp_path, trace_ratio=1.0) as url,
        opened(suite, url) as followed,
    ):
        key = {"idempotency-key": secrets.token_hex(8)}
        refused = await followed.send("POST", "/v1/transfers", json=body, headers=key)
        assert refused.status == 400

        def calls() -> list[Told]:
            return [one for one in collector.spans if one.name == CALL]

        await collector.until(calls, "call")
        (call,) = calls()
    assert call.values["rpc.grpc.status_code"] == 9
    assert call.span.status.code == call.span.status.STATUS_CODE_ERROR
    # No words of the refusal: they name the wallet and its balance.
    assert call.span.status.message == "FAILED_PRECONDITION"
    assert source not in str(call.span)


async def test_a_collector_that_is_away_holds_up_nothing(
    door: Door, suite: Stack, tmp_path: Path
) -> None:
    """Calls are answered as ever; the services log the loss once, not each time."""
    source, destination = await wallets(door)
    async with (
        envoy(suite, tmp_path, trace_ratio=1.0) as url,
        opened(suite, url) as followed,
    ):
        for _ in range(5):
            await transfer(followed, source, destination)
        log = suite.settings.run_dir / "log" / "wallet.log"
        await asyncio.sleep(LOST_S)
        text = await asyncio.to_thread(log.read_text, "utf-8")
    # Whoever collected before has gone away, too.
    assert text.count("spans are lost") == text.count("takes spans again") + 1


def test_envoy_takes_the_configuration(suite: Stack, tmp_path: Path) -> None:
    """With a collector; and without one nothing of it is there."""
    assert valid(configuration(suite, trace_ratio=0.5), tmp_path) == ""
    assert "opentelemetry" not in json.dumps(configuration(suite, trace_address=None))
