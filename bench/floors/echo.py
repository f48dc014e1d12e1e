"""The floor of a call: a bare gRPC server that answers transfers without making them.

`python -m bench.floors.echo serve`. The same event loop, scheduling, options and messages as the
wallet service, and an answer as long as a real one, but no interceptor, no engine, no database. It
is measured by the same program with the same calls as the scenario `uniform`.
"""

import argparse
import asyncio
import gc
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import grpc
import grpc.aio
import uvloop
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_reflection.v1alpha import reflection

from bench import calls
from bench.ghz import Ghz, finish
from bench.machine import tree_cpu_seconds
from bench.model import Run
from bench.scenarios import SCENARIOS
from bench.usage import to_run
from guilder.type.v1.money_pb2 import Money
from guilder.type.v1.position_pb2 import Position
from guilder.wallet.v1 import wallet_service_pb2 as pb
from guilder.wallet.v1.resources_pb2 import (
    Balance,
    Transaction,
    TransactionState,
    TransactionType,
)
from walletkit.command import let_threads_end_their_turn
from walletkit.ids import format_id, new_id
from walletkit.rpc.server import GC_THRESHOLDS, OPTIONS
from walletkit.rpc.symbols import MethodPool
from walletkit.rpc.times import timestamp
from walletkit.stack import Stack, StackError

CURRENCY = "EUR"
EXPONENT = 2
CALLS = 20_000
"""Calls that are written ahead, and sent again and again: nobody looks at their keys."""
GRACE_S = 1.0
START_TIMEOUT_S = 20.0
_AMOUNT_MINOR = 57
_POSTED_MINOR = 10**14
_VERSION = 30_000
_SEQ = 200_000


def response() -> pb.TransferResponse:
    """Write what a transfer within a shard answers, with values of the usual length."""
    source, destination, transaction_id = (format_id(new_id(slot)) for slot in (7, 8, 7))
    return pb.TransferResponse(
        transaction=Transaction(
            transaction_id=transaction_id,
            type=TransactionType.TRANSACTION_TYPE_TRANSFER,
            state=TransactionState.TRANSACTION_STATE_COMPLETED,
            source_wallet_id=source,
            destination_wallet_id=destination,
            amount=Money(currency_code=CURRENCY, amount_minor=_AMOUNT_MINOR),
            create_time=timestamp(time.time_ns() // 1_000),
            exponent=EXPONENT,
        ),
        source_balance=_balance(source),
        destination_balance=_balance(destination),
        position=Position(shard=1, seq=_SEQ),
    )


def _balance(wallet_id: str) -> Balance:
    return Balance(
        wallet_id=wallet_id,
        currency_code=CURRENCY,
        exponent=EXPONENT,
        posted_minor=_POSTED_MINOR,
        available_minor=_POSTED_MINOR,
        version=_VERSION,
    )


def _handlers(service: str) -> grpc.GenericRpcHandler:
    """Handle one method as the generated stub does: a message comes in, a message goes out."""
    answer = response()

    async def echo(_request: pb.TransferRequest, _context: object) -> pb.TransferResponse:
        return answer

    handler = grpc.unary_unary_rpc_method_handler(
        echo,
        request_deserializer=pb.TransferRequest.FromString,
        response_serializer=pb.TransferResponse.SerializeToString,
    )
    return grpc.method_handlers_generic_handler(service, {"Transfer": handler})


async def serve(port: int) -> None:
    """Serve until a signal says stop; the port is printed, as 0 chooses a free one."""
    server = grpc.aio.server(options=OPTIONS)
    service = pb.DESCRIPTOR.services_by_name["WalletService"].full_name
    server.add_generic_rpc_handlers((_handlers(service),))
    names = (service, reflection.SERVICE_NAME)
    reflection.enable_server_reflection(names, server, cast("DescriptorPool", MethodPool()))
    bound = server.add_insecure_port(f"127.0.0.1:{port}")
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
    await server.start()
    sys.stdout.write(f"{bound}\n")
    sys.stdout.flush()
    await stop.wait()
    await server.stop(GRACE_S)


def measure(
    stack: Stack,
    wallets: Sequence[str],
    folder: Path,
    concurrency: int,
    seconds: float,
    round_: int,
) -> Run:
    """Measure the echo as the scenario `uniform` is measured; the suite is not called at all.

    Its server stands for the wallet service in the CPU times. Raise `StackError` when it does not
    start, and `GhzError`.
    """
    scenario = SCENARIOS["uniform"]
    data = folder / "echo.bin"
    shards = len(stack.settings.shard_ports)
    calls.write(data, calls.requests(scenario, wallets, shards, CALLS))
    with running() as server:
        pids = {"wallet": server.pid}
        before = tree_cpu_seconds(pids)
        with Ghz(
            server.address, scenario.method, data, concurrency=concurrency, seconds=seconds
        ) as ghz:
            (load,) = finish(ghz)
        spent = tree_cpu_seconds(pids)["wallet"] - before["wallet"]
    return to_run("floor: echo", concurrency, round_, load, {"wallet": spent})


@dataclass(frozen=True, slots=True)
class Server:
    """The process that echoes."""

    address: str
    pid: int


@contextmanager
def running() -> Iterator[Server]:
    """Run the server in a process of its own for the time of the block."""
    command = [sys.executable, "-m", "bench.floors.echo", "serve"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None, "it was asked for"
    # A server that hangs before it has printed its port would be waited for without an end.
    guard = threading.Timer(START_TIMEOUT_S, process.kill)
    guard.start()
    try:
        port = process.stdout.readline().strip()
        guard.cancel()
        if not port:
            raise StackError("the echo server did not start")
        yield Server(f"127.0.0.1:{port}", process.pid)
    finally:
        guard.cancel()
        process.terminate()
        try:
            process.wait(GRACE_S * 5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()


def main() -> int:
    """Serve."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    serving = commands.add_parser("serve", help="answer until a signal says stop")
    serving.add_argument("--port", type=int, default=0, help="0 chooses a free one")
    options = parser.parse_args()
    let_threads_end_their_turn()
    uvloop.run(serve(options.port))
    return 0


if __name__ == "__main__":
    sys.exit(main())
