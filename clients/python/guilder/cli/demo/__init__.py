"""`guilder demo`: real money moves, is looked at, announced by a webhook, and proved."""

from guilder.cli.demo.command import demo

__all__ = ["demo"]
