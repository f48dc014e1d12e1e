"""Write docs/configuration.md from the settings that every program reads. `make docs`."""

import sys
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt, MaxLen, MinLen
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from pydantic_settings import BaseSettings

from edge.settings import Settings as EdgeSettings
from ledger.settings import Settings as LedgerSettings
from notify.settings import Settings as NotifySettings
from wallet.settings import Settings as WalletSettings
from walletkit.auth.settings import AuthSettings
from walletkit.front.settings import FrontSettings
from walletkit.settings import Address, MetricsAddress, TelemetrySettings, TraceEndpoint

PAGE = Path("docs/configuration.md")
SHARED = AuthSettings.model_fields | TelemetrySettings.model_fields
SERVICES: dict[str, type[AuthSettings]] = {
    "wallet": WalletSettings,
    "ledger": LedgerSettings,
    "notify": NotifySettings,
    "edge": EdgeSettings,
}


def _pattern(kind: Any) -> str:  # noqa: ANN401  # as below
    """Return the pattern of a kind of text."""
    (rule,) = kind.__metadata__[0].metadata
    return str(rule.pattern)


_SHARDS = "SHARD_0_URL, _SHARD_1_URL, …"
_KINDS = {
    int: "integer",
    float: "number",
    bool: "true or false",
    str: "text",
    Path: "path",
    tuple: "list, by commas",
}
_FORMS = {
    _pattern(Address): "host:port",
    _pattern(MetricsAddress): "host:port, or `unix:@name`",
    _pattern(TraceEndpoint): "`http://host:port` or `https://host:port`",
}
_RULES = (
    *((Ge, "at least", "ge"), (Gt, "above", "gt")),
    *((Le, "at most", "le"), (Lt, "below", "lt")),
)

_HEAD = """# Configuration

Made from the settings of the programs by `make docs`; a test keeps both equal. All of it comes from
the environment, read once, at the start.

A variable with a program's prefix that is not known, is missing or breaks its rule refuses the
start with exit code 2: the message names the variable, the nearest known one, or the value and the
rule. The value of a secret is neither told nor logged. Fields without a default are needed.

The relay reads the wallet's. What the local suite takes (GUILDER_*) is in
[operations.md](operations.md).
"""

_SHARED = """
## Every service

Behind its prefix: WALLET_, LEDGER_, NOTIFY_ or EDGE_. [operations.md](operations.md#callers) tells
how they belong together.

"""


def page() -> str:
    """Return the page's text."""
    parts = [_HEAD]
    for name, kind in SERVICES.items():
        own = {n: f for n, f in kind.model_fields.items() if n not in SHARED}
        parts += [f"\n## {name}\n\n", _table(f"{name.upper()}_", own)]
    parts += [_SHARED, _table("_", SHARED)]
    parts += ["\n## front (Envoy)\n\n", _table("FRONT_", FrontSettings.model_fields)]
    return "".join(parts)


def every() -> list[tuple[type[BaseSettings], str, FieldInfo]]:
    """Return each field of each program."""
    kinds: list[type[BaseSettings]] = [*SERVICES.values(), FrontSettings]
    return [(kind, name, field) for kind in kinds for name, field in kind.model_fields.items()]


def _table(prefix: str, fields: dict[str, FieldInfo]) -> str:
    rows = [_row(prefix, name, field) for name, field in fields.items()]
    head = "| variable | type | default | rule | secret | meaning |\n"
    return head + "| --- | --- | --- | --- | --- | --- |\n" + "".join(rows)


def _row(prefix: str, name: str, field: FieldInfo) -> str:
    variable = f"{prefix}{_SHARDS if name == 'shard_urls' else name.upper()}"
    meaning = " ".join((field.description or "").split())
    kind = "text" if name == "shard_urls" else _kind(field.annotation)
    cells = [variable, kind, _default(field), _rule(field)]
    cells += ["yes" if not field.repr else "", meaning]
    return "| " + " | ".join(cells) + " |\n"


def _kind(annotation: Any) -> str:  # noqa: ANN401  # any type there is
    """Name a type to a person."""
    if get_origin(annotation) is Literal:
        return "one of " + ", ".join(map(str, get_args(annotation)))
    inner = [one for one in get_args(annotation) if one is not type(None)]
    found = get_origin(annotation) if get_origin(annotation) is tuple else annotation
    if type(None) in get_args(annotation):
        return _kind(inner[0])
    if hasattr(annotation, "__metadata__"):
        return _kind(inner[0])
    return _KINDS[found]


def _default(field: FieldInfo) -> str:
    """Write a default as it would stand in the environment."""
    value = field.default
    if value is PydanticUndefined:
        return "needed"
    if isinstance(value, tuple):
        value = ",".join(map(str, value))
    if isinstance(value, bool):
        value = str(value).lower()
    return "" if value is None or value == "" else f"`{value}`"


def _rule(field: FieldInfo) -> str:
    """Write what a value must fulfil."""
    parts = []
    for rule in _constraints(field):
        for kind, sign, attribute in _RULES:
            if isinstance(rule, kind):
                parts.append(f"{sign} {getattr(rule, attribute)}")
        if isinstance(rule, MinLen):
            parts.append(f"length at least {rule.min_length}")
        elif isinstance(rule, MaxLen):
            parts.append(f"length at most {rule.max_length}")
        elif pattern := getattr(rule, "pattern", None):
            parts.append(_FORMS.get(pattern) or f"`{pattern}`".replace("|", "\\|"))
    return ", ".join(parts)


def _constraints(field: FieldInfo) -> list[Any]:
    """Return the rules of a field; those of a type in it that may be None, too."""
    found: list[Any] = list(field.metadata)
    for one in get_args(field.annotation):
        for rule in getattr(one, "__metadata__", ()):
            found += rule.metadata if isinstance(rule, FieldInfo) else [rule]
    return found


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(), encoding="utf-8")
    sys.stdout.write(f"{PAGE}: {len(every())} variables\n")


if __name__ == "__main__":
    main()
