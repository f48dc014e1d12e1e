"""Which route a request takes, and what of it may be tried again; nothing runs here."""

import re
from pathlib import Path

import pytest

from guilder.wallet.v1 import wallet_service_pb2
from walletkit.front.edge import LIMIT_FILTER
from walletkit.front.routes import NOT_ANSWERED, NOT_SENT, routes
from walletkit.front.rpcs import BATCHES, GRPC_ONLY, SERVICES, SLOW, Kind, Rpc, read

RPCS = read(Path(wallet_service_pb2.__file__).parents[3] / "guilder.binpb", set(SERVICES.values()))
VALUES = ("0190a000-0000-7000-8000-000000000000", "alias:a%2Fb", "x:deposit", "7")


def kind(name: str) -> Kind:
    """Return a call's kind by its method's name."""
    (found,) = [rpc.kind for rpc in RPCS if rpc.path.endswith(f"Service/{name}")]
    return found


def test_each_path_of_a_template_takes_its_own_route() -> None:
    """Whatever stands for its variables, a longer template is never hidden by a shorter one."""
    rest = [route for route in routes(RPCS, ()) if not route["name"].startswith("grpc")]
    for rpc in RPCS:
        for binding in rpc.bindings:
            for value in VALUES:
                path = re.sub(r"\{\w+\}", value, binding.template)
                first = next(route for route in rest if takes(route, binding.method, path))
                assert first["name"] == f"{binding.method} {binding.template}"
                assert first["route"]["cluster"] == rpc.cluster


def takes(route: dict[str, dict[str, object]], method: str, path: str) -> bool:
    """Tell whether a route matches, as Envoy does: the whole path, and the method."""
    match = str(route["match"])
    regex = route["match"]["safe_regex"]["regex"]  # type: ignore[index]
    return f"'exact': '{method}'" in match and re.fullmatch(str(regex), path) is not None


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Transfer", Kind.KEYED),
        ("BatchTransfer", Kind.KEYED),
        ("CreateSubscription", Kind.KEYED),
        ("DeleteSubscription", Kind.CHANGE),
        ("ReplayDeliveries", Kind.CHANGE),
        ("GetWallet", Kind.READ),
        ("VerifyChain", Kind.SLOW_READ),
        ("Watch", Kind.STREAM),
        ("StreamTransfers", Kind.STREAM),
    ],
)
def test_a_calls_kind_is_read_from_its_proto(name: str, expected: Kind) -> None:
    """By its method, its streams, and whether its request has a key."""
    assert kind(name) is expected


def test_only_what_is_safe_is_tried_again() -> None:
    """A change without a key only when it never reached its service, a stream never."""
    for route in routes(RPCS, ()):
        rpc = of(route["name"])
        policy = route["route"].get("retry_policy")
        if rpc.kind is Kind.STREAM:
            assert policy is None
        elif rpc.kind in {Kind.READ, Kind.KEYED}:
            assert policy["retry_on"] == NOT_ANSWERED
        else:
            assert policy["retry_on"] == NOT_SENT


def of(route: str) -> Rpc:
    """Return the call of a route by the route's name."""
    method, _, path = route.partition(" ")
    for rpc in RPCS:
        ways = {(binding.method, binding.template) for binding in rpc.bindings}
        if (method, path) in ways or (method, path) == ("grpc", rpc.path):
            return rpc
    raise AssertionError(route)


def test_named_calls_exist() -> None:
    """What the code names by hand is still in the protos."""
    assert {rpc.path for rpc in RPCS} >= GRPC_ONLY | SLOW | BATCHES


def test_each_sort_of_call_is_counted_as_such() -> None:
    """Reads, changes, and what carries many changes: the edge has a limit for each sort."""
    values = {
        route["name"]: route["typed_per_filter_config"][LIMIT_FILTER]["filter_context"][
            "counted_as"
        ]
        for route in routes(RPCS, (), counted=True)
    }
    assert values["grpc /guilder.wallet.v1.WalletService/StreamTransfers"] == "batch"
    assert values["grpc /guilder.wallet.v1.WalletService/BatchTransfer"] == "batch"
    batches = {name for name, value in values.items() if value == "batch" and "grpc" not in name}
    assert batches == {"POST /v1/transfers:batch", "POST /v1/commands:batch"}
    assert values["grpc /guilder.ledger.v1.LedgerService/GetStatement"] == "read"
    assert values["POST /v1/transfers"] == "write"
    assert values["GET /v1/wallets"] == "read"
