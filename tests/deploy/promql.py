"""Read which metrics, and which of their labels, a PromQL expression names."""

import re
from typing import NamedTuple

_TEXT = re.compile(r'"(?:[^"\\]|\\.)*"')
_SELECTOR = re.compile(r"([a-zA-Z_:][\w:]*)?\s*\{([^}]*)\}")
_MATCHER = re.compile(r"(\w+)\s*(?:=~|!~|!=|=)")
_GROUPING = re.compile(r"\b(by|without|on|ignoring|group_left|group_right)\s*(?:\(([^)]*)\))?")
_RANGE = re.compile(r"\[[^\]]*\]|\boffset\s+\w+")
_NAME = re.compile(r"(?<![\w:.$])([a-zA-Z_:][\w:]*)(?!\s*\()(?![\w:])")
_WORDS = {"and", "or", "unless", "bool", "inf", "nan"}


class Named(NamedTuple):
    """What an expression names."""

    metrics: set[str]
    matched: set[tuple[str, str]]
    """A metric and a label by which it is chosen."""
    grouped: set[str]
    """Labels by which is added up or matched."""


def named(expression: str) -> Named:
    """Return the metrics and labels of an expression."""
    text = _RANGE.sub(" ", _TEXT.sub('""', expression))
    grouped = {
        label.strip()
        for _, labels in _GROUPING.findall(text)
        for label in labels.split(",")
        if label.strip()
    }
    text = _GROUPING.sub(" ", text)
    matched = {
        (metric, label)
        for metric, matchers in _SELECTOR.findall(text)
        for label in _MATCHER.findall(matchers)
    }
    text = _SELECTOR.sub(lambda found: f" {found.group(1) or ''} ", text)
    metrics = {name for name in _NAME.findall(text) if name.lower() not in _WORDS}
    return Named(metrics, matched, grouped)
