"""Draw latency against offered load, as one SVG a scenario. No I/O: takes runs, returns text."""

import math
import sys
from collections.abc import Callable, Sequence

import pygal  # type: ignore[import-untyped]  # ships no types
from pygal.style import CleanStyle  # type: ignore[import-untyped]

from bench.model import Run

# pygal leaves a finder for plugins of its own among Python's, of a kind that Python warns of at
# every later import.
sys.meta_path[:] = [one for one in sys.meta_path if type(one).__module__ != pygal.__name__]

LINES: dict[str, Callable[[Run], float]] = {
    "p50": lambda run: run.p50_ms,
    "p99": lambda run: run.p99_ms,
}
WIDTH, HEIGHT = 900, 500
_LEAST_MS = 0.01
"""The axis is logarithmic: it has no place for zero."""


def latency_svg(title: str, runs: Sequence[Run]) -> str:
    """Draw p50 and p99 of open-loop runs of one scenario against the load that was offered.

    What was offered but not made lies to the right of the knee: there the calls only queue.
    """
    chart = pygal.XY(
        title=title,
        x_title="calls offered a second",
        y_title="milliseconds",
        logarithmic=True,
        width=WIDTH,
        height=HEIGHT,
        style=CleanStyle,
        legend_at_bottom=True,
        x_value_formatter=lambda value: f"{value:,.0f}",
        value_formatter=lambda value: f"{value:,.4g}",
        js=(),  # as a file it must not fetch anything
        no_prefix=True,  # same figures, same file
        disable_xml_declaration=True,
    )
    ordered = sorted(runs, key=lambda run: run.offered or 0.0)
    for name, value in LINES.items():
        points = [(run.offered, value(run)) for run in ordered if run.offered is not None]
        chart.add(name, [(x, max(y, _LEAST_MS)) for x, y in points if math.isfinite(y)])
    drawn: str = chart.render(is_unicode=True)
    return drawn + "\n"
