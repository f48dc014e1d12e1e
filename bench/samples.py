"""Read what profilers have sampled: functions at work, and those that called them. Pure."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

_LINE = re.compile(r":\d+\)$")
_PROCESS = "process "
_PERF = re.compile(
    r"^\s*(?P<share>\d+\.\d+)%\s+(?P<dso>\S+)\s+\[(?P<mode>.)\]\s+(?P<symbol>.+?)\s*$"
)
_KERNEL = "k"
_NO_NAME = "0x"
_COLUMNS = re.compile(r"\s+-\s+-$")
"""What some versions of perf write behind a symbol."""
EVERYTHING = 0.95
"""A function that has so much below it is on the way to everything, and tells nothing."""


@dataclass(frozen=True, slots=True)
class Function:
    """How much of a process's samples a function has, from 0 to 1."""

    name: str
    own: float
    """Samples in it alone."""
    inclusive: float | None
    """With all that it called; None where callers are not known."""


def read_stacks(lines: Iterable[str]) -> list[Function]:
    """Read py-spy's raw format: a line for each stack, outermost frame first, and its count."""
    own: Counter[str] = Counter()
    inclusive: Counter[str] = Counter()
    total = 0
    for line in lines:
        stack, _, count_text = line.rstrip("\n").rpartition(" ")
        frames = [
            # Lines of a function are one.
            _LINE.sub(")", frame)
            for frame in stack.split(";")
            if not frame.startswith(_PROCESS)
        ]
        if not frames or not count_text.isdigit():
            continue
        count = int(count_text)
        total += count
        own[frames[-1]] += count
        # Of a recursion, once.
        inclusive.update(dict.fromkeys(frames, count))
    return [Function(name, own[name] / total, found / total) for name, found in inclusive.items()]


def read_perf(lines: Iterable[str]) -> list[Function]:
    """Read `perf report --sort dso,symbol`.

    What the kernel does is one function, and so is what has no name in a library.
    """
    shares: Counter[str] = Counter()
    for line in lines:
        if (found := _PERF.match(line)) is not None:
            symbol = _COLUMNS.sub("", found["symbol"])
            name = f"{'without a name' if symbol.startswith(_NO_NAME) else symbol} ({found['dso']})"
            if found["mode"] == _KERNEL:
                name = "kernel"
            shares[name] += float(found["share"]) / 100  # type: ignore[assignment]  # no count
    return [Function(name, share, None) for name, share in shares.items()]


def table(title: str, functions: Iterable[Function], most: int) -> str:
    """Write the functions with the most samples of their own, then those with most beneath them."""
    found = list(functions)
    own = sorted(found, key=lambda function: -function.own)[:most]
    lines = ["", f"{title}: by own samples", *[_line(function) for function in own]]
    if any(function.inclusive is not None for function in found):
        telling = [one for one in found if (one.inclusive or 0) < EVERYTHING]
        called = sorted(telling, key=lambda function: -(function.inclusive or 0))[:most]
        lines += ["", f"{title}: with all they call", *[_line(function) for function in called]]
    return "\n".join(lines) + "\n"


def _line(function: Function) -> str:
    inclusive = "" if function.inclusive is None else f"{function.inclusive:8.1%}"
    return f"{function.own:8.1%}{inclusive:>8}  {function.name}"
