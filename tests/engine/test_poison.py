"""A command that can't be carried out fails alone; what was queued beside it succeeds."""

import pytest
from asyncmy.errors import OperationalError

from tests.engine.faulty_shard import Point
from tests.engine.world import World, again, posted, reason
from wallet.domain.batch import Batch
from wallet.domain.commands import Command
from wallet.domain.decide import decide
from wallet.domain.outcome import Outcome
from wallet.engine import batch_run

POISON = 13


async def test_a_command_that_breaks_its_decider_fails_alone(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fault of ours in one decision costs its own caller INTERNAL, and nobody else anything."""
    await world.start()
    source, near, far = [await world.wallet(n, 1_000) for n in (0, 0, 1)]

    def broken(batch: Batch, command: Command) -> Outcome:
        if getattr(command, "amount", 0) == POISON:
            raise RuntimeError("a fault of ours")
        return decide(batch, command)

    monkeypatch.setattr(batch_run, "decide", broken)
    await _expect_one_failure(world, source, near, far)


async def test_a_value_that_the_database_refuses_fails_alone(own_world: World) -> None:
    """A violated CHECK undoes the batch; it is split until the one command stands alone."""
    await own_world.start()
    source, near, far = [await own_world.wallet(n, 1_000) for n in (0, 0, 1)]
    await own_world.sql(
        0, f"ALTER TABLE transactions ADD CONSTRAINT poison CHECK (amount<>{POISON})"
    )
    await _expect_one_failure(own_world, source, near, far)


async def test_what_was_written_before_the_refusal_is_undone(own_world: World) -> None:
    """The last table but one refuses: transaction and key are there already, and must go again."""
    await own_world.start()
    source, near, far = [await own_world.wallet(n, 1_000) for n in (0, 0, 1)]
    await own_world.sql(0, f"ALTER TABLE intents ADD CONSTRAINT poison CHECK (amount<>{POISON})")
    await _expect_one_failure(own_world, source, near, far, at=7)


async def test_a_value_that_a_trigger_refuses_fails_alone(own_world: World) -> None:
    """Any data error, by its SQLSTATE, is treated alike."""
    await own_world.start()
    source, near, far = [await own_world.wallet(n, 1_000) for n in (0, 0, 1)]
    await own_world.sql(
        0,
        f"CREATE TRIGGER poison BEFORE INSERT ON transactions FOR EACH ROW IF NEW.amount={POISON}"
        " THEN SIGNAL SQLSTATE '22003' SET MESSAGE_TEXT='refused'; END IF",
    )
    await _expect_one_failure(own_world, source, near, far)


async def _expect_one_failure(
    world: World, source: bytes, near: bytes, far: bytes, *, at: int = 6
) -> None:
    shard = world.shards[0]
    before = shard.loads
    commands = [
        world.transfer(source, far if n % 2 else near, POISON if n == at else 1) for n in range(20)
    ]
    outcomes = [(await future).outcome for future in world.queue(commands)]
    assert reason(outcomes.pop(at)) == "INTERNAL"
    for outcome in outcomes:
        posted(outcome)
    assert shard.loads - before > 1, "the commands were one batch at first"
    assert await world.posted(0, source) == 1_000 - 19
    await world.check()
    assert reason(await world.do(commands[at])) == "INTERNAL"
    assert getattr(await world.do(again(commands[0])), "replayed", None) is True


async def test_what_is_too_much_for_one_packet_is_split(world: World) -> None:
    """The server refuses a packet for its size: halves of the batch fit, and nobody loses."""
    await world.start()
    source, near = await world.wallet(0, 1_000), await world.wallet(0)
    shard = world.shards[0]

    async def refuse() -> None:
        raise OperationalError(1153, "Got a packet bigger than 'max_allowed_packet' bytes")

    shard.once[Point.BEFORE_SAVE].append(refuse)
    for future in world.queue([world.transfer(source, near) for _ in range(8)]):
        posted((await future).outcome)
    assert shard.error_numbers == [1153]
    assert await world.posted(0, source) == 1_000 - 8
    await world.check()


async def test_a_broken_schema_fails_its_batch_at_once(own_world: World) -> None:
    """What no split can cure is answered INTERNAL without one, and the shard works once cured."""
    await own_world.start()
    source, near = await own_world.wallet(0, 1_000), await own_world.wallet(0)
    shard = own_world.shards[0]
    await own_world.sql(0, "RENAME TABLE outcomes TO hidden")
    before = shard.saves
    futures = own_world.queue([own_world.transfer(source, near) for _ in range(8)])
    assert {reason((await future).outcome) for future in futures} == {"INTERNAL"}
    assert shard.saves - before == 1
    await own_world.sql(0, "RENAME TABLE hidden TO outcomes")
    posted(await own_world.do(own_world.transfer(source, near)))
    await own_world.check()
