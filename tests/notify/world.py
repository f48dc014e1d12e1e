"""What the notify tests are made of: a shard's records, a relay, a customer's endpoint."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
import grpc.aio
from aiohttp import web
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from standardwebhooks import Webhook

from guilder.events.v1 import record_pb2 as ev
from guilder.notify.v1 import notify_service_pb2 as pb
from guilder.notify.v1 import notify_service_pb2_grpc as rpc
from notify import wiring
from notify.settings import Settings
from tests.claims import Claims
from walletkit.chain import genesis_hash, next_hash
from walletkit.ids import SystemKind, format_id, new_id, slot_of, system_wallet_id
from walletkit.payload import pack
from walletkit.rpc.interceptor import StatusInterceptor

TIME_US = 1_790_000_000_000_000
WAIT_S = 10.0


async def until(condition: Callable[[], Any], timeout_s: float = WAIT_S) -> None:
    """Wait until a condition holds; one that never does fails the test."""
    async with asyncio.timeout(timeout_s):
        while True:
            found = condition()
            if isinstance(found, Awaitable):
                found = await found
            if found:
                return
            await asyncio.sleep(0.01)


@dataclass
class Shard:
    """Makes the records of one shard, chained; versions of wallets rise as on a real one."""

    number: int = 0
    seq: int = 0
    hash: bytes = b""
    time_us: int = TIME_US
    records: list[ev.SequencedRecord] = field(default_factory=list)
    versions: Counter[bytes] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        """Begin with the genesis hash."""
        self.hash = genesis_hash(self.number)

    def wallet(self) -> bytes:
        """Make a wallet's id; no record is written."""
        return new_id(self.number)

    def posting(self, source: bytes, destination: bytes, amount: int) -> ev.Posting:
        """Move money between two wallets, either of which may be a system wallet."""
        posting = ev.Posting(
            source=source, destination=destination, currency_code="EUR", amount_minor=amount
        )
        if source[0]:
            self.versions[source] += 1
            posting.source_version = self.versions[source]
            posting.source_posted_after = 1_000 - amount
        if destination[0]:
            self.versions[destination] += 1
            posting.destination_version = self.versions[destination]
            posting.destination_posted_after = 1_000 + amount
        return posting

    def transfer(self, source: bytes, destination: bytes, amount: int = 5) -> ev.Transaction:
        """Make a transfer within the shard."""
        return ev.Transaction(
            transaction_id=new_id(0),
            type=ev.TRANSACTION_TYPE_TRANSFER,
            state=ev.TRANSACTION_STATE_COMPLETED,
            source=source,
            destination=destination,
            postings=[self.posting(source, destination, amount)],
            reference=b"invoice 7",
            opaque=b'{"d":"lunch","m":{"table":"4"}}',
        )

    def deposit(self, wallet: bytes, amount: int = 5) -> ev.Transaction:
        """Make a deposit: one event."""
        world = system_wallet_id(SystemKind.WORLD, self.number, "EUR")
        transaction = self.transfer(world, wallet, amount)
        transaction.type = ev.TRANSACTION_TYPE_DEPOSIT
        return transaction

    def several(self, *movements: tuple[bytes, bytes, int]) -> ev.Transaction:
        """Make one transaction of several postings; a destination elsewhere gets an intent."""
        transit = system_wallet_id(SystemKind.TRANSIT, self.number, "EUR")
        postings, intents = [], []
        for leg, (source, destination, amount) in enumerate(movements):
            away = destination[0] and slot_of(destination) != self.number
            postings.append(self.posting(source, transit if away else destination, amount))
            if away:
                intent = ev.Intent(leg=leg, destination=destination, currency_code="EUR")
                intent.amount_minor = amount
                intents.append(intent)
        processing, done = ev.TRANSACTION_STATE_PROCESSING, ev.TRANSACTION_STATE_COMPLETED
        return ev.Transaction(
            transaction_id=new_id(self.number),
            type=ev.TRANSACTION_TYPE_POSTING,
            state=processing if intents else done,
            source=movements[0][0],
            destination=movements[0][1],
            postings=postings,
            intents=intents,
        )

    def change(
        self,
        wallet: bytes,
        kind: ev.WalletChangeKind.ValueType,
        **fields: Any,  # noqa: ANN401  # any field
    ) -> ev.WalletChange:
        """Change a wallet."""
        self.versions[wallet] += 1
        usual: dict[str, Any] = {
            "status": ev.WALLET_STATUS_ACTIVE,
            "account_id": "alice",
            "currency_code": "EUR",
        }
        return ev.WalletChange(
            kind=kind, wallet_id=wallet, version=self.versions[wallet], **(usual | fields)
        )

    def hold(
        self,
        wallet: bytes,
        kind: ev.HoldChangeKind.ValueType = ev.HOLD_CHANGE_KIND_AUTHORIZED,
        **fields: Any,  # noqa: ANN401  # any field
    ) -> ev.HoldChange:
        """Make a hold of 500, or change one."""
        self.versions[wallet] += 1
        usual: dict[str, Any] = {
            "hold_id": new_id(self.number),
            "held_after_minor": 500,
            "currency_code": "EUR",
            "state": ev.HOLD_STATE_AUTHORIZED,
            "authorized_minor": 500,
            "expire_time_us": TIME_US + 60_000_000,
        }
        return ev.HoldChange(
            kind=kind, wallet_id=wallet, wallet_version=self.versions[wallet], **(usual | fields)
        )

    def commit(
        self,
        *transactions: ev.Transaction,
        legs: Iterable[ev.LandedLeg] = (),
        changes: Iterable[ev.WalletChange] = (),
        version: int = 1,
        **fields: Any,  # noqa: ANN401  # any field
    ) -> ev.SequencedRecord:
        """Write one record, a second after the last; ``fields`` are the record's other ones."""
        self.time_us += 1_000_000
        record = ev.Record(
            version=version,
            shard=self.number,
            time_us=self.time_us,
            transactions=transactions,
            landed_legs=legs,
            wallet_changes=changes,
            **fields,
        )
        return self.seal(pack(record.SerializeToString()))

    def seal(self, payload: bytes) -> ev.SequencedRecord:
        """Give a payload the next place in the chain."""
        before, self.hash = self.hash, next_hash(self.hash, payload)
        self.seq += 1
        record = ev.SequencedRecord(seq=self.seq, prev_hash=before, hash=self.hash, payload=payload)
        self.records.append(record)
        return record


class Client:
    """Calls one server, and relays records to it."""

    def __init__(self, port: int) -> None:
        """Connect when needed."""
        self.channel = grpc.aio.insecure_channel(f"127.0.0.1:{port}")
        self.stub: rpc.NotifyServiceAsyncStub = rpc.NotifyServiceStub(self.channel)

    async def position(self, shard: int) -> pb.IngestResponse:
        """Open an ingest stream and return where it stands."""
        call = self.stub.Ingest()
        await call.write(pb.IngestRequest(shard=shard))
        answer = await call.read()
        assert isinstance(answer, pb.IngestResponse)
        call.cancel()
        return answer

    async def relay(self, shard: int, records: Sequence[ev.SequencedRecord]) -> pb.IngestResponse:
        """Send records one a message and return the last answer. Raise the call's error."""

        async def requests() -> AsyncIterator[pb.IngestRequest]:
            yield pb.IngestRequest(shard=shard)
            for record in records:
                yield pb.IngestRequest(shard=shard, records=[record])

        answers = [answer async for answer in self.stub.Ingest(requests(), timeout=WAIT_S)]
        return answers[-1]

    async def send(self, shard: Shard) -> pb.IngestResponse:
        """Send all that the server does not have, as the relay does."""
        position = await self.position(shard.number)
        return await self.relay(shard.number, shard.records[position.seq :])

    async def subscribe(
        self, url: str, key: str = "key", wallets: Iterable[bytes] = (), types: Iterable[str] = ()
    ) -> pb.CreateSubscriptionResponse:
        """Create a subscription."""
        request = pb.CreateSubscriptionRequest(
            url=url,
            idempotency_key=key,
            wallet_ids=[format_id(wallet) for wallet in wallets],
            event_types=types,
        )
        return await self.stub.CreateSubscription(request, timeout=WAIT_S)

    async def dead_letters(self, subscription_id: str) -> list[pb.DeadLetter]:
        """List a page of dead letters."""
        request = pb.ListDeadLettersRequest(subscription_id=subscription_id)
        return list((await self.stub.ListDeadLetters(request, timeout=WAIT_S)).dead_letters)


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Client]:
    """Run notify in this process until the block ends."""
    app = wiring.build(settings)
    app.loops.start()
    server = grpc.aio.server(interceptors=(Claims(), StatusInterceptor()))
    app.register(server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    client = Client(port)
    try:
        await until(app.loops.is_ready)
        yield client
    finally:
        await client.channel.close()
        await server.stop(0)
        await app.close()


@dataclass(frozen=True)
class Post:
    """A request that an endpoint got."""

    event_id: str
    headers: dict[str, str]
    body: bytes

    @property
    def content(self) -> dict[str, Any]:
        """The body's JSON."""
        content: dict[str, Any] = json.loads(self.body)
        return content

    def verify(self, secret: str) -> None:
        """Check the signature as a customer would."""
        Webhook(secret).verify(self.body, self.headers)


class Endpoint:
    """A customer's webhook; ``answer`` decides each reply."""

    def __init__(self) -> None:
        """Answer 204 to everything."""
        self.posts: list[Post] = []
        self.answer: Callable[[Post], Awaitable[web.Response]] = self._accept
        self.port = 0
        self._runner = web.ServerRunner(web.Server(self._handle), shutdown_timeout=0.1)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}/hook"

    @property
    def ids(self) -> list[str]:
        """The events it got, in order."""
        return [post.event_id for post in self.posts]

    async def start(self) -> None:
        """Listen on a free port."""
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Stop listening."""
        await self._runner.cleanup()

    def reply(self, *statuses: int) -> None:
        """Answer with these statuses in turn, the last one from then on."""
        left = list(statuses)

        async def answer(_post: Post) -> web.Response:
            return web.Response(status=left.pop(0) if len(left) > 1 else left[0], text="because")

        self.answer = answer

    async def _handle(self, request: web.BaseRequest) -> web.Response:
        body = await request.read()
        headers = {name.lower(): value for name, value in request.headers.items()}
        post = Post(headers["webhook-id"], headers, body)
        self.posts.append(post)
        return await self.answer(post)

    async def _accept(self, _post: Post) -> web.Response:
        return web.Response(status=204)


def reason_of(error: grpc.aio.AioRpcError) -> tuple[str, dict[str, str]]:
    """Return reason and metadata of a refused call."""
    status = rpc_status.from_call(error)  # type: ignore[arg-type]  # has all that it reads
    info = error_details_pb2.ErrorInfo()
    assert status is not None
    assert status.details[0].Unpack(info)
    return info.reason, dict(info.metadata)


def fields_of(error: grpc.aio.AioRpcError) -> set[str]:
    """Return the fields that a refused call names."""
    status = rpc_status.from_call(error)  # type: ignore[arg-type]  # has all that it reads
    bad = error_details_pb2.BadRequest()
    assert status is not None
    assert status.details[1].Unpack(bad)
    return {violation.field for violation in bad.field_violations}
