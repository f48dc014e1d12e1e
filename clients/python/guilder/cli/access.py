"""Read what the options before a command say of credentials and encryption."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer

from guilder.client import Tls, Token
from guilder.client.access import pair_from
from walletkit.auth.refusals import StartError
from walletkit.auth.token_file import TokenFile

TokenOption = Annotated[
    str | None,
    typer.Option(
        envvar="GUILDER_TOKEN",
        show_envvar=True,
        help="What proves who you are; better given by the variable, which no list of"
        " processes shows. For the local suite: `guilder auth token`.",
    ),
]
TokenFileOption = Annotated[
    Path | None,
    typer.Option(
        envvar="GUILDER_TOKEN_FILE", help="A file with the token, read again when it changes."
    ),
]
ApiKeyOption = Annotated[
    str | None,
    typer.Option(
        envvar="GUILDER_API_KEY", help="A bearer key in place of a token; Envoy alone takes it."
    ),
]
TlsOption = Annotated[
    bool,
    typer.Option(
        "--tls", envvar="GUILDER_TLS", help="Call by TLS; any of the next three means it, too."
    ),
]
CaOption = Annotated[
    Path | None,
    typer.Option(
        "--tls-ca",
        envvar="GUILDER_TLS_CA",
        help="PEM: who signed the services' certificates; without it, public authorities.",
    ),
]
CertOption = Annotated[
    Path | None,
    typer.Option("--tls-cert", envvar="GUILDER_TLS_CERT", help="PEM: a certificate of your own."),
]
KeyOption = Annotated[
    Path | None, typer.Option("--tls-key", envvar="GUILDER_TLS_KEY", help="PEM: its key.")
]


@dataclass(frozen=True, slots=True)
class Access:
    """How a command proves who asks, and whether its calls are encrypted."""

    token: Token | None = field(default=None, repr=False)
    api_key: str | None = field(default=None, repr=False)
    tls: Tls | None = None


NO_ACCESS = Access()


def access_of(
    token: str | None, token_file: Path | None, api_key: str | None, tls: Tls | None
) -> Access:
    """Check what was given, of which an empty text is nothing; errors show no credential."""
    given: Token | None = token or None
    if token_file is not None:
        if given is not None:
            raise typer.BadParameter("give a token or its file, not both")
        try:
            given = TokenFile(token_file).token
        except StartError as error:
            raise typer.BadParameter(str(error), param_hint="'--token-file'") from None
    try:
        pair_from(given, api_key or None)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    return Access(given, api_key or None, tls)


def tls_of(*, wanted: bool, ca: Path | None, cert: Path | None, key: Path | None) -> Tls | None:
    """Return how to encrypt; None where nothing asks for it."""
    if not wanted and (ca, cert, key) == (None, None, None):
        return None
    try:
        tls = Tls(ca, cert, key)
        tls.credentials()
    except OSError as error:
        raise typer.BadParameter(f"{error.filename}: {error.strerror}") from None
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    return tls
