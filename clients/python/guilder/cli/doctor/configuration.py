"""Read the services' settings as each service reads them, and find what contradicts.

Only what has a variable here is looked at: on a machine with the wallet's variables alone, the
wallet's part.
"""

import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError

from edge import settings as edge_settings
from guilder.cli.doctor.finding import Finding, fail, ok, warn
from ledger import settings as ledger_settings
from notify import settings as notify_settings
from wallet import settings as wallet_settings
from walletkit.front import settings as front_settings
from walletkit.settings import SettingsError
from walletkit.sql.session import parse_url
from walletkit.stack.services import environment
from walletkit.stack.settings import StackSettings
from walletkit.stack.state import STATE_FILE

PART = "configuration"


@dataclass(slots=True)
class Configured:
    """The settings of each program that has any here."""

    wallet: wallet_settings.Settings | None = None
    ledger: ledger_settings.Settings | None = None
    notify: notify_settings.Settings | None = None
    edge: edge_settings.Settings | None = None
    front: front_settings.FrontSettings | None = None
    findings: list[Finding] = field(default_factory=list)

    @property
    def services(self) -> "dict[str, Service]":
        """The services that could be read, by name; the front door is none."""
        found: dict[str, Service | None] = {
            "wallet": self.wallet,
            "ledger": self.ledger,
            "notify": self.notify,
            "edge": self.edge,
        }
        return {name: settings for name, settings in found.items() if settings is not None}


Service = (
    wallet_settings.Settings
    | ledger_settings.Settings
    | notify_settings.Settings
    | edge_settings.Settings
)

_LOADERS: Mapping[str, tuple[str, Callable[[], object]]] = {
    "wallet": (wallet_settings.PREFIX, wallet_settings.load),
    "ledger": (ledger_settings.PREFIX, ledger_settings.load),
    "notify": (notify_settings.PREFIX, notify_settings.load),
    "edge": (edge_settings.PREFIX, edge_settings.load),
    "front": (front_settings.PREFIX, front_settings.load),
}


def read(run_dir: Path) -> Configured:
    """Read the environment; where no service has a variable in it, the local suite's."""
    if any(_variables(prefix) for prefix, _ in _LOADERS.values()):
        return _read()
    if not (run_dir / STATE_FILE).exists():
        nothing = Configured()
        nothing.findings.append(
            warn(
                PART,
                "settings",
                "no variable of any service",
                "databases and Redis can't be looked at: only the services' addresses are known",
                "run it with the services' environment (docs/configuration.md), or after `make up`",
            )
        )
        return nothing
    try:
        local = environment(StackSettings(run_dir=run_dir))
    except ValidationError as error:
        broken = Configured()
        broken.findings += [
            fail(
                PART,
                "local suite",
                f"GUILDER_{'_'.join(map(str, problem['loc'])).upper()}: {problem['msg']}",
                "`make up` would refuse it",
                "set it right (docs/operations.md, The local suite)",
            )
            for problem in error.errors()
        ]
        return broken
    with _standing_in(local):
        found = _read()
    means = "no service has a variable in this environment, so the local suite was looked at"
    found.findings.insert(0, ok(PART, "local suite", str(run_dir), means))
    return found


def _read() -> Configured:
    found = Configured()
    for name, (prefix, load) in _LOADERS.items():
        variables = _variables(prefix)
        if not variables:
            continue
        try:
            setattr(found, name, load())
        except SettingsError as error:
            found.findings += [_wrong(name, line) for line in str(error).splitlines()]
        else:
            text = f"{len(variables)} variables"
            found.findings.append(ok(PART, name, text, "all are known, and keep their rules"))
    found.findings += contradictions(found)
    return found


def _wrong(name: str, line: str) -> Finding:
    mend = f"docs/configuration.md has all that {name} knows, with their rules"
    return fail(PART, name, line, f"{name} refuses to start, and its part was not looked at", mend)


def _variables(prefix: str) -> list[str]:
    return [name for name in os.environ if name.startswith(prefix)]


@contextmanager
def _standing_in(variables: Mapping[str, str]) -> Iterator[None]:
    """Let the environment have these too during a block: settings are read from nowhere else."""
    os.environ.update(variables)
    try:
        yield
    finally:
        for name in variables:
            del os.environ[name]


def contradictions(found: Configured) -> list[Finding]:
    """Return what each service takes and all together can't work, or should not."""
    made = [
        *_shared_databases(found),
        *_weak_choices(found),
        *_callers(found),
        *_issuer_of_keys(found),
    ]
    if not made and len(found.services) > 1:
        made.append(ok(PART, "together", "no contradiction", "what the services say of each other"))
    return made


def _shared_databases(found: Configured) -> Iterator[Finding]:
    users: dict[tuple[str, int, str], list[str]] = defaultdict(list)
    for name, url in databases_of(found):
        address = parse_url(url)
        users[address.host, address.port, address.database].append(name)
    for (host, port, database), names in users.items():
        if len(names) > 1:
            yield fail(
                PART,
                "together",
                f"{', '.join(names)} share {database} on {host}:{port}",
                "each has tables and migrations of its own: the second is refused or breaks",
                "give each a database of its own",
            )


def databases_of(found: Configured) -> list[tuple[str, str]]:
    """Return name and url of each database."""
    shards = () if found.wallet is None else found.wallet.shard_urls
    listed = [(f"shard {number}", url) for number, url in enumerate(shards)]
    for name, settings in found.services.items():
        if not isinstance(settings, wallet_settings.Settings):
            listed.append((name, settings.database_url))
    return listed


def _weak_choices(found: Configured) -> Iterator[Finding]:
    for name, settings in found.services.items():
        if settings.allow_weak_durability:
            yield warn(
                PART,
                name,
                f"{name.upper()}_ALLOW_WEAK_DURABILITY=true",
                "a database that may lose what it acknowledged is served without a word",
                "take it away, and make the database durable",
            )
    if found.notify is not None and found.notify.allow_private_targets:
        yield warn(
            PART,
            "notify",
            "NOTIFY_ALLOW_PRIVATE_TARGETS=true",
            "whoever subscribes makes notify call addresses inside of your network",
            "take it away but where webhooks are received inside",
        )


def _callers(found: Configured) -> Iterator[Finding]:
    modes = {name: settings.auth_mode for name, settings in found.services.items()}
    trusting = [name for name, mode in modes.items() if mode == "trusted"]
    if trusting:
        yield warn(
            PART,
            "callers",
            f"AUTH_MODE trusted: {', '.join(trusting)}",
            "whoever reaches the port, on this machine, may do all without a token",
            "AUTH_MODE required everywhere but on a machine for development",
        )
    for name, peers in (("wallet", ("ledger", "notify")), ("ledger", ("wallet",))):
        settings = found.services.get(name)
        strict = [peer for peer in peers if modes.get(peer) == "required"]
        if settings is None or not strict:
            continue
        certificate = settings.tls_ca is not None and settings.tls_cert is not None
        if settings.auth_token_file is None and not certificate:
            yield fail(
                PART,
                name,
                f"neither {name.upper()}_AUTH_TOKEN_FILE nor a certificate for {', '.join(strict)}",
                "they want credentials of whoever calls, so it is refused there",
                "docs/operations.md, Callers: services among themselves",
            )


def _issuer_of_keys(found: Configured) -> Iterator[Finding]:
    """Look whether tokens that edge makes of API keys are believed by the services."""
    if found.edge is None:
        return
    for name, settings in found.services.items():
        prefix = name.upper()
        if found.edge.issuer not in settings.auth_issuer:
            yield warn(
                PART,
                name,
                f"EDGE_ISSUER {found.edge.issuer} is not among {prefix}_AUTH_ISSUER",
                "who calls with an API key or a signature is refused there",
                f"add it, and edge's JWKS to {prefix}_AUTH_JWKS",
            )
        if found.edge.audience != settings.auth_audience:
            yield fail(
                PART,
                name,
                f"{prefix}_AUTH_AUDIENCE is {settings.auth_audience}, "
                f"EDGE_AUDIENCE {found.edge.audience}",
                "who calls with an API key or a signature is refused there",
                "make both the same",
            )
