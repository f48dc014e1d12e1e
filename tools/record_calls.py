"""Make one call of each kind on a suite of its own, and write what was asked and said.

`make record` writes docs/api.json, after a call was added or changed. Replies are as Envoy writes
them: fields at their default are told. Lists are cut to two.
"""

import json
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import json_format, message_factory
from google.protobuf.message import Message
from google.rpc import error_details_pb2

from guilder.ledger.v1 import ledger_service_pb2 as ledger_pb
from guilder.notify.v1 import notify_service_pb2 as notify_pb
from guilder.wallet.v1 import wallet_service_pb2 as wallet_pb
from tools.openapi.examples import PAGE
from tools.scenario import SCENARIO, STREAMED
from walletkit.stack import Stack, StackSettings

DETAILS = (error_details_pb2.ErrorInfo, error_details_pb2.BadRequest)
"""Imported so that they can be written: no proto of ours names them."""
TIMEOUT_S = 30
KEPT = 2
EXTENDED_S = 30 * 86_400
SETTLE_S = 1.0
"""How long the ledger gets to hear of what was done."""
SERVICES = {
    "WalletService": (wallet_pb, "wallet"),
    "LedgerService": (ledger_pb, "ledger"),
    "NotifyService": (notify_pb, "notify"),
}


class Recorder:
    """Makes calls, and remembers ids that later ones name."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        soon = time.gmtime(time.time() + EXTENDED_S)
        self._known: dict[str, str] = {"$soon": time.strftime("%Y-%m-%dT00:00:00Z", soon)}

    def call(self, name: str, request: dict[str, Any], learn: dict[str, str]) -> dict[str, Any]:
        """Make a call; return the request and the reply as JSON."""
        service, method = name.split(".")
        module, process = SERVICES[service]
        described = module.DESCRIPTOR.services_by_name[service].methods_by_name[method]
        asked = self._filled(request)
        message = json_format.ParseDict(
            asked, message_factory.GetMessageClass(described.input_type)()
        )
        reply_class = message_factory.GetMessageClass(described.output_type)
        path = f"/{described.containing_service.full_name}/{method}"
        with grpc.insecure_channel(self._stack.address(process)) as channel:
            shape = (
                f"{'stream' if described.client_streaming else 'unary'}"
                f"_{'stream' if described.server_streaming else 'unary'}"
            )
            multi = getattr(channel, shape)(
                path,
                request_serializer=type(message).SerializeToString,
                response_deserializer=reply_class.FromString,
            )
            given: Message | Iterator[Message] = message
            if described.client_streaming:
                given = iter([message])
            said = multi(given, timeout=TIMEOUT_S)
            most = STREAMED.get(name)
            reply: Any = _json(said) if most is None else [_json(one) for one in islice(said, most)]
        for variable, place in learn.items():
            self._known[variable] = _at(reply, place)
        return {"request": asked, "reply": _cut(reply)}

    def _filled(self, value: Any) -> Any:  # noqa: ANN401  # JSON
        """Put what is known into a request."""
        if isinstance(value, dict):
            return {self._filled(key): self._filled(one) for key, one in value.items()}
        if isinstance(value, list):
            return [self._filled(one) for one in value]
        return self._known.get(value, value) if isinstance(value, str) else value


def _json(message: Message) -> dict[str, Any]:
    written: dict[str, Any] = json_format.MessageToDict(
        message, always_print_fields_with_no_presence=True
    )
    return written


def _at(reply: Any, place: str) -> str:  # noqa: ANN401  # JSON
    for part in place.split("."):
        reply = reply[int(part)] if part.isdecimal() else reply[part]
    return str(reply)


def _cut(value: Any) -> Any:  # noqa: ANN401  # JSON
    """Shorten lists."""
    if isinstance(value, dict):
        return {key: _cut(one) for key, one in value.items()}
    return [_cut(one) for one in value[:KEPT]] if isinstance(value, list) else value


def main() -> None:
    """Record all calls."""
    calls: dict[str, Any] = {}
    with (
        tempfile.TemporaryDirectory(prefix="guilder-calls-") as folder,
        Stack(StackSettings.for_tests(Path(folder)), tied=True) as stack,
    ):
        stack.up()
        recorder = Recorder(stack)
        for name, request, learn in SCENARIO:
            if name.startswith("LedgerService") or "List" in name or "Family" in name:
                time.sleep(SETTLE_S)
            made = recorder.call(name, request, learn)
            calls.setdefault(name, made)
    text = json.dumps(dict(sorted(calls.items())), indent=1, ensure_ascii=False)
    PAGE.write_text(text + "\n", encoding="utf-8")
    sys.stdout.write(f"{PAGE}: {len(calls)} calls\n")


if __name__ == "__main__":
    main()
