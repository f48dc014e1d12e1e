"""Grafana's dashboards, made from code: `python -m tools.dashboards` writes what the chart has."""
