"""Make transfers over REST: HTTP/1.1 on connections that stay open, one call at a time on each.

ghz speaks no REST, and a client library would cost more than what is measured, so this is a client
of our own: `python -m bench.http_load` in a process of its own. It makes the bytes of every request
ahead, and of an answer it reads no more than status and length.
"""

import argparse
import asyncio
import gc
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

import uvloop
from google.protobuf import json_format
from google.protobuf.proto import parse_length_prefixed

from bench.child import await_the_word, tell
from bench.load import Load
from guilder.wallet.v1.wallet_service_pb2 import TransferRequest

PATH = "/v1/transfers"
CONNECT_TIMEOUT_S = 10.0
CALL_TIMEOUT_S = 40.0
FAILED_PAUSE_S = 0.05
NONE_LEFT = "NONE_LEFT"
"""Told as an error: a caller had no request left, and keys must not come twice."""
_OK = 200
_LINE = b"\r\n"
_END = b"\r\n\r\n"
_LENGTH = b"content-length:"
_CLOSES = b"connection: close"


class AnswerError(Exception):
    """The connection ended, or what came is no answer."""


@dataclass(slots=True)
class Tally:
    """What was answered so far."""

    calls: int = 0
    latencies_ms: list[float] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)


def request_of(message: TransferRequest, host: str, token: str) -> bytes:
    """Write a transfer as a client of REST does: its key in the header."""
    key = message.idempotency_key
    told = TransferRequest()
    told.CopyFrom(message)
    told.ClearField("idempotency_key")
    body = json_format.MessageToJson(told, indent=None).encode()
    head = (
        f"POST {PATH} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: application/json\r\nIdempotency-Key: {key}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def read_messages(data: bytes) -> Iterator[TransferRequest]:
    """Read what `bench.calls.write` wrote."""
    left = BytesIO(data)
    while (message := parse_length_prefixed(TransferRequest, left)) is not None:
        yield message


async def read_answer(reader: asyncio.StreamReader) -> tuple[int, bool]:
    """Read one answer to its end; return its status, and whether the connection stays open.

    Raise `AnswerError`.
    """
    try:
        head = await reader.readuntil(_END)
        status = int(head[9:12])
        headers = head.lower()
        if (at := headers.find(_LENGTH)) >= 0:
            length = int(headers[at + len(_LENGTH) : headers.index(_LINE, at)])
            await reader.readexactly(length)
        else:
            # Envoy sends chunks where it does not know the length.
            while (length := int(await reader.readuntil(_LINE), 16)) > 0:
                await reader.readexactly(length + len(_LINE))
            await reader.readexactly(len(_LINE))
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError, OSError) as error:
        raise AnswerError(str(error)) from error
    return status, _CLOSES not in headers


async def send(address: str, requests: Sequence[bytes], concurrency: int, seconds: float) -> Load:
    """Open a connection for each caller, wait for the word, and call for so long."""
    host, _, port = address.rpartition(":")
    async with asyncio.timeout(CONNECT_TIMEOUT_S):
        opened = await asyncio.gather(
            *[asyncio.open_connection(host, int(port)) for _ in range(concurrency)]
        )
    await_the_word()
    tally, left = Tally(), iter(requests)
    started, cpu_started = time.perf_counter(), time.process_time()
    end = started + seconds
    async with asyncio.TaskGroup() as group:
        for reader, writer in opened:
            group.create_task(_caller(reader, writer, left, end, tally))
    took, cpu = time.perf_counter() - started, time.process_time() - cpu_started
    ended_at = time.time()
    return Load(
        seconds=took,
        calls=tally.calls,
        movements=len(tally.latencies_ms),
        latencies_ms=tally.latencies_ms,
        errors=dict(tally.errors),
        cpu_seconds=cpu,
        ended_at=ended_at,
    )


async def _caller(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    left: Iterator[bytes],
    end: float,
    tally: Tally,
) -> None:
    """Call until the time is over; a connection that breaks ends its caller."""
    peer = writer.get_extra_info("peername")[:2]
    try:
        async with asyncio.timeout(end - time.perf_counter() + CALL_TIMEOUT_S):
            while (now := time.perf_counter()) < end:
                if (request := next(left, None)) is None:
                    tally.errors[NONE_LEFT] += 1
                    return
                tally.calls += 1
                writer.write(request)
                status, stays = await read_answer(reader)
                if status == _OK:
                    tally.latencies_ms.append((time.perf_counter() - now) * 1e3)
                else:
                    tally.errors[f"HTTP {status}"] += 1
                    await asyncio.sleep(FAILED_PAUSE_S)
                if not stays:
                    # Envoy hangs up on who is refused before the whole request was read.
                    writer.close()
                    reader, writer = await asyncio.open_connection(*peer)
    except (AnswerError, OSError, TimeoutError) as error:
        tally.errors[type(error).__name__] += 1
    finally:
        writer.close()


def main() -> int:
    """Read address and token from standard input, prepare, wait for the word, and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="transfers, each with its length before it")
    parser.add_argument("--concurrency", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    options = parser.parse_args()
    # By standard input, since a list of processes shows arguments.
    told = json.loads(sys.stdin.readline())
    messages = read_messages(options.data.read_bytes())
    requests = [request_of(one, told["address"], told["token"]) for one in messages]
    gc.freeze()
    gc.disable()  # for some seconds: what was made ahead is large, and nothing here leaves cycles
    load = uvloop.run(send(told["address"], requests, options.concurrency, options.seconds))
    tell(load)
    return 0


if __name__ == "__main__":
    sys.exit(main())
