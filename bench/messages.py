"""Make messages that hold many transfers each, as bytes, and read what was answered. Pure."""

import itertools
import random
import secrets
from collections import Counter
from collections.abc import Iterable, Sequence

from grpc import StatusCode

from bench import pairs
from bench.calls import AMOUNTS_MINOR, CURRENCY
from bench.scenarios import Scenario
from guilder.type.v1.money_pb2 import Money
from guilder.wallet.v1 import wallet_service_pb2 as pb

TRANSFERS_AHEAD = 32_000
"""Transfers that are serialized before the clock starts; then the same pairs pay again."""
MOST_AHEAD = 256_000
"""Of many wallets as many transfers as wallets, up to here: few pairs would keep to few pages."""
REPLAYED = "REPLAYED"
"""Told of a transfer that was not made, because its key had come before."""
_KEY_DIGITS = 8
_NO_NUMBER = b"@" * _KEY_DIGITS
"""Stands in each key for the message's number, and nowhere else: ids and codes have no `@`."""
_BATCH_ID_TAG = 0x08
_SEVEN_BITS = 0x7F
_MORE = 0x80
_CODES = {code.value[0]: code.name for code in StatusCode}


class Messages:
    """Serialized requests without end: the same pairs again, but each transfer with a fresh key."""

    def __init__(self, scenario: Scenario, wallets: Sequence[str], shards: int) -> None:
        """Serialize what fits; the transfers of a message are all of one shard."""
        ahead = max(TRANSFERS_AHEAD, min(MOST_AHEAD, len(wallets)))
        count = max(shards, ahead // scenario.per_call)
        draw = random.Random(scenario.name)  # noqa: S311  # the same pairs each time
        prefix = secrets.token_hex(6)
        of_shard = -(-count // shards) * scenario.per_call
        chosen = [
            iter(pairs.choose("within", group, shards, of_shard, draw))
            for group in pairs.by_shard(wallets, shards)
        ]
        self._request = _request_of(scenario)
        self._numbers = itertools.count(1)
        self._bodies = [
            self._body(itertools.islice(chosen[n % shards], scenario.per_call), prefix, draw)
            for n in range(count)
        ]

    def take(self) -> tuple[int, bytes]:
        """Return the next message and its number, from 1; a stream's message has it as its id.

        That costs a twentieth of a microsecond a transfer: nothing is serialized here.
        """
        number = next(self._numbers)
        body = self._bodies[number % len(self._bodies)]
        numbered = body.replace(_NO_NUMBER, b"%0*x" % (_KEY_DIGITS, number))
        if self._request is pb.StreamTransfersRequest:
            numbered = pb.StreamTransfersRequest(batch_id=number).SerializeToString() + numbered
        return number, numbered

    def _body(self, chosen: Iterable[pairs.Pair], prefix: str, draw: random.Random) -> bytes:
        marked = f"{prefix}-{_NO_NUMBER.decode()}"
        transfers = [
            pb.TransferRequest(
                source_wallet_id=source,
                destination_wallet_id=destination,
                amount=Money(currency_code=CURRENCY, amount_minor=draw.choice(AMOUNTS_MINOR)),
                idempotency_key=f"{marked}-{place}",
            )
            for place, (source, destination) in enumerate(chosen)
        ]
        return self._request(transfers=transfers).SerializeToString()


def is_stream(scenario: Scenario) -> bool:
    """Tell whether messages go over a stream; otherwise each is a call."""
    return scenario.method.endswith("/StreamTransfers")


def batch_id(reply: bytes) -> int:
    """Return the id of a stream's reply, without reading the rest of it."""
    if reply[0] != _BATCH_ID_TAG:
        return pb.StreamTransfersResponse.FromString(reply).batch_id
    value = shift = 0
    for byte in reply[1:]:
        value |= (byte & _SEVEN_BITS) << shift
        if not byte & _MORE:
            break
        shift += 7
    return value


def read_reply(scenario: Scenario, reply: bytes) -> tuple[int, Counter[str]]:
    """Return how many transfers a reply says were made, and the gRPC codes of the others."""
    message = pb.StreamTransfersResponse if is_stream(scenario) else pb.BatchTransferResponse
    made = 0
    failed: Counter[str] = Counter()
    for result in message.FromString(reply).results:
        if result.HasField("error"):
            failed[_CODES[result.error.code]] += 1
        elif result.response.replayed:
            failed[REPLAYED] += 1
        else:
            made += 1
    return made, failed


def _request_of(
    scenario: Scenario,
) -> type[pb.BatchTransferRequest] | type[pb.StreamTransfersRequest]:
    return pb.StreamTransfersRequest if is_stream(scenario) else pb.BatchTransferRequest
