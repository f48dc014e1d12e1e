"""Write docs/authorization.md from the one table of roles (walletkit.rpc.roles). `make docs`."""

import sys
from itertools import groupby
from pathlib import Path

from walletkit.principal import Role
from walletkit.rpc.roles import OPEN, ROLES

PAGE = Path("docs/authorization.md")

_HEAD = """# Who may call what

Made from `libs/walletkit/rpc/roles.py` by `make docs`; a test keeps both equal, and another calls
every RPC as every role.

A caller proves who it is by a token (`authorization: Bearer <JWT>`), which has roles:

| role | is |
| --- | --- |
| customer | one account's owner: reaches that account's wallets; another's answer as unknown |
| service | a machine of the company's that moves money on behalf of customers |
| operator | a person who runs the business: freezes, reverses, sets limits |
| auditor | reads everything, and changes nothing |
| admin | gives out credentials, and may do all that the others may |
| internal | another service of the suite |

No token can claim to be internal: that follows from its subject or from the caller's certificate,
where the settings name these ([operations.md](operations.md)).

No credentials, or none that count: UNAUTHENTICATED (CREDENTIALS_MISSING, CREDENTIALS_INVALID,
CREDENTIALS_EXPIRED). A role that does not suffice: PERMISSION_DENIED, which names those that do.
Both come before anything of the request is looked at. A method that has no row is refused for
everybody.

Money comes in, and goes out, by service, operator and admin only: `Deposit`, `Withdraw`,
`PostTransaction` (the one call that takes `sys:` sides), alone or inside `BatchExecute`, where each
command needs what its own call needs.

A service that trusts its callers (`AUTH_MODE` trusted, loopback only) lets in calls without a token
as if they had every role; one with a token is held to it.
"""

_OPEN = """
## Open

Health (`grpc.health.v1.Health`) needs no credentials: probes have none. It says nothing but
whether a service serves.
"""


def page() -> str:
    """Return the page's text."""
    parts = [_HEAD]
    for service, paths in groupby(ROLES, key=lambda path: path.split("/")[1]):
        parts += [f"\n## {service}\n\n", _row("RPC", [role.value for role in Role])]
        parts.append("| --- |" + " :-: |" * len(Role) + "\n")
        for path in paths:
            marks = ["yes" if role in ROLES[path] else "" for role in Role]
            parts.append(_row(path.split("/")[2], marks))
    assert all(path.startswith("/grpc.health.v1.Health/") for path in OPEN)
    return "".join(parts) + _OPEN


def _row(name: str, cells: list[str]) -> str:
    return f"| {name} | {' | '.join(cells)} |\n"


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(), encoding="utf-8")
    sys.stdout.write(f"{PAGE}: {len(ROLES)} calls\n")


if __name__ == "__main__":
    main()
