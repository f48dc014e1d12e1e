"""What the commands of one call name is read for all of them together."""

import asyncio
from collections.abc import Sequence

import pytest

from guilder.type.v1.money_pb2 import Money
from guilder.wallet.v1 import wallet_service_pb2 as pb
from tests.api.failures import missing, of_result
from tests.api.suite import Suite, money, running
from wallet.api import known, names
from wallet.store.shard import Shard
from walletkit.ids import format_id, new_id, parse_id, slot_of

MANY = 1_000
SWEEPS = ("FORCE INDEX(holds_open)", "FROM intents")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, str]]:
    """List what is read from now on, but for sweeps: the shard's number and the query."""
    seen: list[tuple[int, str]] = []
    real = Shard.query

    async def counted(
        shard: Shard, sql: str, args: Sequence[object] = ()
    ) -> list[tuple[object, ...]]:
        if not any(sweep in sql for sweep in SWEEPS):
            seen.append((shard.number, sql))
        return await real(shard, sql, args)

    monkeypatch.setattr(Shard, "query", counted)
    return seen


def of_table(asked: list[tuple[int, str]], table: str) -> list[int]:
    """Return the shards of which a table was read, ascending."""
    return sorted(number for number, sql in asked if f"FROM {table} " in sql)


def withdrawals(suite: Suite, wallets: Sequence[str]) -> list[dict[str, object]]:
    """Write a withdrawal of 1 from each wallet."""
    return [
        {"withdraw": {"wallet_id": one, "amount": money(1), "idempotency_key": suite.key()}}
        for one in wallets
    ]


async def together(suite: Suite, commands: Sequence[object]) -> Sequence[pb.BatchResult]:
    """Make one call of commands that do not depend on each other."""
    reply = await suite.do("BatchExecute", commands=commands, idempotency_key="")
    results: Sequence[pb.BatchResult] = reply.results
    return results


async def named(suite: Suite, name: str, shard: int, posted: int) -> str:
    """Create a wallet with a name and money; return its alias."""
    account = suite.account(shard)
    reply = await suite.do("CreateWallet", account_id=account, currency_code="EUR", alias=name)
    await suite.deposit(reply.wallet.wallet_id, posted)
    return f"alias:{account}/{name}"


async def test_a_thousand_unknown_aliases_are_one_query_a_shard(
    suite: Suite, asked: list[tuple[int, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each fails alone; for a moment none is asked for again, and then all are."""
    accounts = [suite.account(shard) for shard in (0, 1)]
    unknown = [f"alias:{accounts[n % 2]}/n{n}" for n in range(MANY - 1)]
    monkeypatch.setattr(known, "MISS_TTL_S", 2.0)
    real = await suite.wallet(10)
    asked.clear()
    for _ in range(2):
        commands = withdrawals(suite, [*unknown, real])
        results = await together(suite, commands)
        for alias, result in zip(unknown, results[:-1], strict=True):
            assert of_result(result) == missing("WALLET_NOT_FOUND", wallet_id=alias)
        assert results[-1].WhichOneof("result") == "withdraw"
    assert of_table(asked, "aliases") == [0, 1]
    assert len(asked) == 2
    await asyncio.sleep(2.0)
    await together(suite, withdrawals(suite, unknown))
    assert of_table(asked, "aliases") == [0, 0, 1, 1]


async def test_more_names_than_one_query_takes(
    suite: Suite, asked: list[tuple[int, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are read in parts, and each is found by a process that did not make it."""
    monkeypatch.setattr(names, "NAMES_PER_QUERY", 2)
    aliases = [await named(suite, f"n{n}", 0, 10) for n in range(5)]
    asked.clear()
    async with running(suite.urls) as other:
        commands = withdrawals(suite, aliases)
        results = await together(other, commands)
    assert of_table(asked, "aliases") == [0, 0, 0]
    assert all(one.withdraw.balance.posted_minor == 9 for one in results)


async def test_a_made_alias_is_known_without_a_query(
    suite: Suite, asked: list[tuple[int, str]]
) -> None:
    """Who makes a wallet may use its name at once; plain ids are never looked up either."""
    alias = await named(suite, "a", 1, 10)
    wallet = await suite.wallet(10)
    asked.clear()
    await together(suite, withdrawals(suite, [alias, wallet]))
    assert asked == []


async def test_holds_and_originals_of_a_call_are_read_together(
    suite: Suite, asked: list[tuple[int, str]]
) -> None:
    """One query a shard and kind, and one for several postings; unknown ones fail alone."""
    payers = [await suite.wallet(1_000, shard=shard) for shard in (0, 1)]
    holds = [(await suite.authorize(payer, 5)).hold_id for payer in payers for _ in range(3)]
    moved = [
        (await suite.withdraw(payer, 5)).transaction.transaction_id
        for payer in payers
        for _ in range(3)
    ]
    sides = {"source_wallet_id": payers[0], "amount": money(2)}
    posting = {**sides, "destination_wallet_id": "sys:fees"}
    posted = await suite.do("PostTransaction", postings=[posting, posting])
    moved.append(posted.transaction.transaction_id)
    nobody = format_id(new_id(slot_of(parse_id(payers[0]))))
    commands = [
        *[{"void_hold": {"hold_id": one}} for one in (*holds, nobody)],
        *[{"reverse_transaction": {"transaction_id": one}} for one in (*moved, nobody)],
    ]
    for command in commands:
        next(iter(command.values()))["idempotency_key"] = suite.key()
    asked.clear()
    async with running(suite.urls) as other:
        results = await together(other, commands)
    assert of_table(asked, "holds") == of_table(asked, "transactions") == [0, 1]
    assert of_table(asked, "tx_lines") == [0]
    assert len(asked) == 5
    lost = [n for n, one in enumerate(results) if one.WhichOneof("result") == "error"]
    assert lost == [len(holds), len(commands) - 1]
    assert of_result(results[lost[0]]).reason == "HOLD_NOT_FOUND"
    assert of_result(results[lost[1]]).reason == "TRANSACTION_NOT_FOUND"
    assert await suite.posted(payers[0]) == await suite.posted(payers[1]) == 1_000


async def test_only_the_named_assets_are_read(suite: Suite, asked: list[tuple[int, str]]) -> None:
    """Unknown codes of one call are one query, and it asks for those codes alone."""
    wallet = await suite.wallet(10)
    asked.clear()
    commands = withdrawals(suite, [wallet] * 50)
    for n, command in enumerate(commands):
        command["withdraw"]["amount"] = Money(currency_code=f"NOBODY{n}", amount_minor=1)  # type: ignore[index]
    results = await together(suite, commands)
    assert {of_result(one).reason for one in results} == {"INVALID_FIELD"}
    assert len(asked) == len(of_table(asked, "assets")) == 1
    assert " WHERE currency IN (" in asked[0][1]
