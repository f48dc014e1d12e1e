"""Transfers many to a message: fresh keys, counted answers, and short runs on a real suite."""

from collections import Counter
from collections.abc import Sequence

import pytest

from bench import packed
from bench.child import ClientError
from bench.messages import REPLAYED, Messages, batch_id, read_reply
from bench.scenarios import SCENARIOS, shard_of
from guilder.wallet.v1 import wallet_service_pb2 as pb
from walletkit.stack import Stack

PACKED = [name for name, scenario in SCENARIOS.items() if scenario.client == "packed"]
BATCH, STREAM = SCENARIOS["batch-100"], SCENARIOS["stream"]
SHARDS = 2
# Codes of google.rpc.Code.
ABORTED, NOT_FOUND = 10, 5


def test_no_key_comes_twice(unmade: Sequence[str]) -> None:
    """Also when the messages made ahead are sent a second time, each transfer has a key."""
    messages = Messages(BATCH, unmade, SHARDS)
    taken = [pb.BatchTransferRequest.FromString(messages.take()[1]) for _ in range(1_000)]
    keys = {one.idempotency_key for message in taken for one in message.transfers}
    assert len(keys) == 1_000 * BATCH.per_call


def test_a_message_stays_on_one_shard(unmade: Sequence[str]) -> None:
    """All wallets of a message are on one shard, and messages load both shards."""
    messages = Messages(BATCH, unmade, SHARDS)
    found = []
    for _ in range(4):
        message = pb.BatchTransferRequest.FromString(messages.take()[1])
        sides = [(one.source_wallet_id, one.destination_wallet_id) for one in message.transfers]
        found.append({shard_of(wallet, SHARDS) for side in sides for wallet in side})
        assert all(source != destination for source, destination in sides)
    assert all(len(shards) == 1 for shards in found)
    assert set().union(*found) == {0, 1}


def test_a_stream_knows_its_messages_by_number(unmade: Sequence[str]) -> None:
    """A message on a stream carries its number as its id, and a reply's id is read as it is."""
    number, message = Messages(STREAM, unmade, SHARDS).take()
    assert pb.StreamTransfersRequest.FromString(message).batch_id == number
    assert len(pb.StreamTransfersRequest.FromString(message).transfers) == STREAM.per_call
    for id_ in (1, 127, 128, 300, 2**40):
        reply = pb.StreamTransfersResponse(batch_id=id_, results=[pb.TransferResult()])
        assert batch_id(reply.SerializeToString()) == id_
    without_id = pb.StreamTransfersResponse(results=[pb.TransferResult()])
    assert batch_id(without_id.SerializeToString()) == 0


def test_only_what_was_made_counts() -> None:
    """Declined and replayed transfers of an answered message are errors, by their code."""
    results = [pb.TransferResult(response=pb.TransferResponse()) for _ in range(3)]
    results[2].response.replayed = True
    declines = [pb.TransferResult() for _ in range(3)]
    for one, code in zip(declines, (NOT_FOUND, ABORTED, ABORTED), strict=True):
        one.error.code = code
    reply = pb.BatchTransferResponse(results=[*results, *declines]).SerializeToString()
    assert read_reply(BATCH, reply) == (2, Counter({"ABORTED": 2, "NOT_FOUND": 1, REPLAYED: 1}))


@pytest.mark.parametrize("name", PACKED)
def test_a_run_counts_what_the_shards_have(
    suite: Stack, accounts: Sequence[str], name: str
) -> None:
    """What a run says was made are rows that were not there before, and none is missing."""
    before = transactions(suite)
    run = packed.measure(suite, SCENARIOS[name], accounts, 2, 1.0, 7)
    assert run.errors == {}
    assert run.movements == transactions(suite) - before
    assert run.movements == run.calls * SCENARIOS[name].per_call > 0
    assert (run.scenario, run.concurrency, run.round, run.offered) == (name, 2, 7, None)
    assert 0 < run.p50_ms <= run.p99_ms
    assert run.cpu_us["load"] > 0
    assert run.batch_size is not None


@pytest.mark.parametrize("name", ["batch-100", "stream"])
def test_an_open_loop_sends_by_the_clock(suite: Stack, accounts: Sequence[str], name: str) -> None:
    """So many messages are sent as were asked for, whoever else waits for an answer."""
    run = packed.measure(suite, SCENARIOS[name], accounts, 3, 1.0, 1, offered=10.0)
    assert (run.calls, run.offered, run.errors) == (10, 10.0, {})


@pytest.mark.parametrize("name", ["batch-100", "stream"])
def test_a_run_tells_what_failed(suite: Stack, unmade: Sequence[str], name: str) -> None:
    """Transfers between wallets that don't exist are no movements."""
    run = packed.measure(suite, SCENARIOS[name], unmade, 1, 0.2, 1)
    assert run.movements == 0
    assert run.errors == {"NOT_FOUND": run.calls * SCENARIOS[name].per_call}


def test_a_client_without_a_server_says_so(suite: Stack, accounts: Sequence[str]) -> None:
    """Where nobody listens, the run fails; it does not hang."""
    packed_order = packed.Order(BATCH, 1, 0.2, None)
    with (
        packed.client("127.0.0.1:1", SHARDS, packed_order) as client,
        pytest.raises(ClientError),
    ):
        client.prepare(accounts)


def transactions(suite: Stack) -> int:
    """Count the transactions of all shards."""
    shards = range(len(suite.settings.shard_ports))
    count = "SELECT COUNT(*) FROM wallet_{}.transactions"
    return sum(int(suite.execute(f"shard-{n}", count.format(n))) for n in shards)
