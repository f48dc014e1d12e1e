"""What dashboards are made of: queries, panels, and the JSON that Grafana imports."""

from typing import Any, NamedTuple

Json = dict[str, Any]

COLUMNS = 24
HEIGHT = 8
SOURCE: Json = {"type": "prometheus", "uid": "${datasource}"}
SCHEMA = 39
"""Of Grafana 10; later ones read it."""
RATE = "$__rate_interval"
"""The shortest window that holds enough scrapes at the zoom of the moment: Grafana's own."""


class Query(NamedTuple):
    """An expression, and what each of its series is called."""

    expression: str
    legend: str


class Panel(NamedTuple):
    """A graph. ``unit`` is Grafana's name of it; ``about`` what a reader should know."""

    title: str
    unit: str
    queries: tuple[Query, ...]
    about: str = ""
    width: int = 12


class Board(NamedTuple):
    """A dashboard: ``name`` is its file and, behind `guilder-`, its id."""

    name: str
    title: str
    panels: tuple[Panel, ...]


def panel(title: str, unit: str, *queries: tuple[str, str], about: str = "") -> Panel:
    """Make a graph of half the width, of expressions and legends."""
    return Panel(title, unit, tuple(Query(*query) for query in queries), about)


def quantiles(metric: str, *labels: str, chosen: str = "") -> tuple[tuple[str, str], ...]:
    """Return p50, p95 and p99 of a histogram, by labels."""
    grouped = ", ".join(("le", *labels))
    shown = "".join(f" {{{{{label}}}}}" for label in labels)
    return tuple(
        (
            f"histogram_quantile({q}, sum by ({grouped}) (rate({metric}_bucket{chosen}[{RATE}])))",
            f"p{q * 100:g}{shown}",
        )
        for q in (0.5, 0.95, 0.99)
    )


def mean(metric: str, *labels: str) -> tuple[str, str]:
    """Return the mean of a histogram, by labels."""
    by = ", ".join(labels)
    both = [f"sum by ({by}) (rate({metric}_{part}[{RATE}]))" for part in ("sum", "count")]
    return " / ".join(both), "mean" + "".join(f" {{{{{label}}}}}" for label in labels)


def rate(metric: str, *labels: str, chosen: str = "") -> tuple[str, str]:
    """Return what a counter grows by a second, by labels."""
    by = f" by ({', '.join(labels)})" if labels else ""
    shown = " ".join(f"{{{{{label}}}}}" for label in labels) or "all"
    return f"sum{by} (rate({metric}{chosen}[{RATE}]))", shown


def rendered(board: Board) -> Json:
    """Return a dashboard as Grafana imports it."""
    return {
        "uid": f"guilder-{board.name}",
        "title": f"Guilder: {board.title}",
        "tags": ["guilder"],
        "schemaVersion": SCHEMA,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-1h", "to": "now"},
        "links": [{"title": "Guilder", "type": "dashboards", "tags": ["guilder"]}],
        "templating": {
            "list": [{"name": "datasource", "label": "Source", "type": "datasource", **_PROMETHEUS}]
        },
        "panels": [_panel(number, one) for number, one in enumerate(board.panels)],
    }


_PROMETHEUS = {"query": "prometheus"}


def _panel(number: int, one: Panel) -> Json:
    across = COLUMNS // one.width
    place = {"x": number % across * one.width, "y": number // across * HEIGHT}
    return {
        "id": number + 1,
        "type": "timeseries",
        "title": one.title,
        "description": one.about,
        "datasource": SOURCE,
        "gridPos": {"h": HEIGHT, "w": one.width, **place},
        "fieldConfig": {"defaults": {"unit": one.unit, "min": 0}, "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}},
        "targets": [_target(letter, query) for letter, query in enumerate(one.queries)],
    }


def _target(letter: int, query: Query) -> Json:
    return {
        "refId": chr(ord("A") + letter),
        "datasource": SOURCE,
        "expr": query.expression,
        "legendFormat": query.legend,
    }
