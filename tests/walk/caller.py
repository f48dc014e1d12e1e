"""Ask the suite as a client does: by gRPC, with the same key until the answer is final."""

import contextlib
import itertools
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

import grpc
from google.rpc import error_details_pb2, status_pb2

from guilder.ledger.v1 import ledger_service_pb2 as ledger_pb
from guilder.ledger.v1 import ledger_service_pb2_grpc as ledger_stubs
from guilder.wallet.v1 import wallet_service_pb2 as pb
from guilder.wallet.v1 import wallet_service_pb2_grpc as stubs
from guilder.wallet.v1.resources_pb2 import TransactionState

PATIENCE_S = 60.0
DEADLINE_S = 5.0
PAUSE_S = 0.05
SETTLE_S = 30.0
AGAIN = frozenset(
    {
        "OUTCOME_UNKNOWN",
        "DEADLINE_EXCEEDED",
        "UNAVAILABLE",
        "SHARD_UNAVAILABLE",
        "LEDGER_UNAVAILABLE",
        "OVERLOADED",
        "SHUTTING_DOWN",
    }
)
"""Answers after which a client sends the same again."""
_RECONNECT = (("grpc.initial_reconnect_backoff_ms", 50), ("grpc.max_reconnect_backoff_ms", 200))


class Answer(NamedTuple):
    """What a call came to; ``reason`` is empty when it succeeded."""

    reason: str
    metadata: Mapping[str, str]
    message: Any
    attempts: int


class Caller:
    """One client of a running suite."""

    def __init__(self, wallet: str, ledger: str, name: str) -> None:
        """Take the services' addresses, and a name that makes this client's keys its own."""
        self._channels = [
            grpc.insecure_channel(address, options=_RECONNECT) for address in (wallet, ledger)
        ]
        self._wallet: Any = stubs.WalletServiceStub(self._channels[0])
        self._ledger: Any = ledger_stubs.LedgerServiceStub(self._channels[1])
        self._name = name
        self._count = itertools.count()
        self.retries = 0

    def close(self) -> None:
        """Hang up."""
        for channel in self._channels:
            channel.close()

    def key(self) -> str:
        """Return a fresh key."""
        return f"{self._name}-{next(self._count)}"

    def call(self, method: str, request: Any) -> Answer:
        """Ask the wallet service until the answer is final."""
        return self._until_final(getattr(self._wallet, method), request)

    def booked(self, wallet_id: str, position: Any) -> tuple[int, int]:
        """Return a wallet's posted balance and version as the ledger has them at a position."""
        request = ledger_pb.GetBalanceRequest(wallet_id=wallet_id, min_position=position)
        answer = self._until_final(self._ledger.GetBalance, request)
        assert not answer.reason, answer
        return int(answer.message.posted_minor), int(answer.message.version)

    def settled(self, tx_id: str) -> str:
        """Wait until a transaction is at its end, and return its state."""
        give_up = time.monotonic() + SETTLE_S
        while time.monotonic() < give_up:
            request = pb.GetTransactionRequest(transaction_id=tx_id)
            answer = self.call("GetTransaction", request)
            assert not answer.reason, answer
            state = TransactionState.Name(answer.message.transaction.state)
            if not state.endswith("PROCESSING"):
                return state.removeprefix("TRANSACTION_STATE_")
            time.sleep(PAUSE_S)
        raise AssertionError(f"transaction {tx_id} does not end")

    def _until_final(self, method: Any, request: Any) -> Answer:
        give_up = time.monotonic() + PATIENCE_S
        for attempt in itertools.count(1):
            try:
                return Answer("", {}, method(request, timeout=DEADLINE_S), attempt)
            except grpc.RpcError as error:
                answer = _refusal(error, attempt)
            if answer.reason not in AGAIN or time.monotonic() > give_up:
                return answer
            self.retries += 1
            time.sleep(PAUSE_S)
        raise AssertionError("unreachable")


def _refusal(error: Any, attempt: int) -> Answer:
    for name, value in error.trailing_metadata() or ():
        if name != "grpc-status-details-bin":
            continue
        for detail in status_pb2.Status.FromString(value).details:
            info = error_details_pb2.ErrorInfo()
            with contextlib.suppress(ValueError):
                if detail.Unpack(info):
                    return Answer(info.reason, dict(info.metadata), None, attempt)
    return Answer(error.code().name, {"message": error.details() or ""}, None, attempt)
