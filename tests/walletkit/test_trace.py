"""Spans of W3C Trace Context: which are followed, and that lines of the log say so."""

from unittest.mock import Mock

import pytest

from walletkit import trace
from walletkit.telemetry import log
from walletkit.telemetry.spans import Spans
from walletkit.trace import Span, below, current, read, write

TRACE = "0af7651916cd43dd8448eb211c80319c"
SPAN = "b7ad6b7169203331"
FOLLOWED = Span(bytes.fromhex(TRACE), bytes.fromhex(SPAN))


def test_what_is_written_is_read() -> None:
    """The form is the specification's."""
    assert write(FOLLOWED) == f"00-{TRACE}-{SPAN}-01"
    assert read(write(FOLLOWED)) == FOLLOWED


@pytest.mark.parametrize(
    "traceparent",
    [
        f"00-{TRACE}-{SPAN}-03",
        # A later version may say more; what it says more is not known here.
        f"01-{TRACE}-{SPAN}-01-more",
    ],
)
def test_other_flags_and_later_versions_are_read(traceparent: str) -> None:
    """As the specification asks."""
    assert read(traceparent) == FOLLOWED


@pytest.mark.parametrize(
    "traceparent",
    [
        "",
        "nonsense",
        f"00-{TRACE}-{SPAN}-00",
        f"00-{TRACE}-{SPAN}-01-more",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{TRACE}-{SPAN[:-1]}-01",
        f"00-{TRACE}-{SPAN}-01\n",
        f"00-{TRACE}-{SPAN}-\u06601",
        f"00-{TRACE}-{SPAN}-01".encode(),
    ],
)
def test_what_is_not_sampled_or_malformed_is_not_followed(traceparent: str | bytes) -> None:
    """It costs nothing, and harms nothing."""
    assert read(traceparent) is None


def test_a_caller_decides_and_the_ratio_only_without_one() -> None:
    """Whoever began a trace has decided whether it is followed."""
    always, never = Spans(Mock(), 1.0), Spans(Mock(), 0.0)
    for spans in (always, never):
        assert spans.follows(write(FOLLOWED)) == (True, FOLLOWED)
        assert spans.follows(f"00-{TRACE}-{SPAN}-00") == (False, None)
    assert always.follows(None) == (True, None)
    assert never.follows(None) == (False, None)


def test_a_line_says_in_which_trace_it_is() -> None:
    """Below a span alone."""
    with below(FOLLOWED):
        inside = log.place(None, "info", {"event": "inside"})
    assert current() is None
    assert inside == {"event": "inside", "trace_id": TRACE, "span_id": SPAN}
    assert log.place(None, "info", {"event": "outside"}) == {"event": "outside"}


def test_a_task_is_below_what_it_began_with() -> None:
    """Until its block ends."""
    with below(FOLLOWED), below(None):
        assert trace.current() is None
