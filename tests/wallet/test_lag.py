"""How far a sink is behind is told in records and in time, also while it is away for long."""

import time

from wallet.relay.lag import MAX_MARKS, Lag


def test_a_sink_that_keeps_up_has_no_lag() -> None:
    """Behind by two, then by none; what it acknowledged is counted."""
    lag = Lag(90, "test")
    lag.open(5)
    lag.behind.advance(7)
    assert lag.behind.records() == 2
    assert lag.behind.seconds() >= 0
    lag.acknowledge(7)
    assert (lag.behind.records(), lag.behind.seconds()) == (0, 0)
    assert lag._records.value == 2
    assert lag.connected.value == 1
    lag.close()
    assert lag.connected.value == 0


def test_the_oldest_record_tells_the_time() -> None:
    """What has come since makes it no younger; an answer for a part of it leaves the rest."""
    lag = Lag(91, "test")
    lag.open(0)
    lag.behind.advance(1)
    time.sleep(0.05)
    lag.behind.advance(2)
    assert lag.behind.seconds() >= 0.05
    lag.acknowledge(1)
    assert lag.behind.seconds() < 0.05


def test_a_long_standstill_shows_in_full() -> None:
    """However much comes meanwhile, the first moment is kept, and memory is not filled."""
    lag = Lag(92, "test")
    lag.behind.advance(1)
    time.sleep(0.05)
    for head in range(2, 3 * MAX_MARKS):
        lag.behind.advance(head)
    assert lag.behind.seconds() >= 0.05
    assert len(lag.behind._marks) <= MAX_MARKS


def test_what_follows_a_standstill_keeps_its_time() -> None:
    """A sink that has caught up with the first half is behind since the second half began."""
    lag = Lag(93, "test")
    lag.open(0)
    last = 2 * MAX_MARKS
    for head in range(1, last):
        lag.behind.advance(head)
    time.sleep(0.05)
    lag.behind.advance(last)
    lag.acknowledge(last // 2)
    assert lag.behind.seconds() >= 0.05
    lag.acknowledge(last)
    assert lag.behind.seconds() == 0
