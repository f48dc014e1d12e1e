"""Options and arguments that several commands share, declared once."""

from typing import Annotated
from uuid import uuid4

import typer

from guilder.client import Money, MoneyOptions, parse_amount

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]

WalletArgument = Annotated[str, typer.Argument(metavar="WALLET", help="Id of the wallet.")]

AmountArgument = Annotated[
    str, typer.Argument(metavar="AMOUNT", help="Decimal of the major unit, such as 12.50.")
]

CurrencyArgument = Annotated[
    str, typer.Argument(metavar="CURRENCY", help="ISO 4217 code, such as EUR.")
]

KeyOption = Annotated[
    str | None,
    typer.Option(
        "--key",
        help="Idempotency key: the same key never moves money twice. A fresh one if left out.",
    ),
]

MetadataOption = Annotated[
    list[str] | None,
    typer.Option("--metadata", metavar="NAME=VALUE", help="A pair of your own; may be repeated."),
]

ReferenceOption = Annotated[
    str, typer.Option("--reference", help="Your reference, at most 64 bytes.")
]

DescriptionOption = Annotated[str, typer.Option("--description", help="Your description.")]

VersionOption = Annotated[
    int | None,
    typer.Option("--expected-version", min=0, help="Refuse if the wallet is at another version."),
]

LimitOption = Annotated[
    int, typer.Option("--limit", min=1, max=100_000, help="Show at most so many.")
]


def key_or_fresh(key: str | None) -> str:
    """Return the key, or a fresh one where none was given; an empty one the service refuses."""
    return str(uuid4()) if key is None else key


def read_amount(text: str, currency_code: str) -> Money:
    """Read an amount argument; a malformed one is a usage error that names the rule."""
    try:
        return parse_amount(text, currency_code)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="'AMOUNT'") from None


def read_metadata(items: list[str] | None) -> dict[str, str]:
    """Read NAME=VALUE pairs; raise a usage error for anything else, and for a name given twice."""
    made: dict[str, str] = {}
    for item in items or ():
        name, equals, value = item.partition("=")
        if not equals or not name or name in made:
            message = f"{item!r}: must be NAME=VALUE, each name once"
            raise typer.BadParameter(message, param_hint="'--metadata'")
        made[name] = value
    return made


def money_options(
    key: str,
    reference: str,
    description: str,
    metadata: list[str] | None,
    expected_version: int | None,
) -> MoneyOptions:
    """Bundle the options of a movement for the client."""
    options: MoneyOptions = {
        "idempotency_key": key,
        "reference": reference,
        "description": description,
        "metadata": read_metadata(metadata),
    }
    if expected_version is not None:
        options["expected_version"] = expected_version
    return options
