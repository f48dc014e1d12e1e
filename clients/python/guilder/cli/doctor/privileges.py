"""Judge what a service's database user may do, by SHOW GRANTS: what is missing, what is too much.

Pure. What a role gives is judged where the server lists it, as MariaDB does for an active one.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from guilder.cli.doctor.finding import Finding, fail, ok, warn

_READ_WRITE = ("SELECT", "INSERT", "UPDATE", "DELETE")
NEEDED = {
    # Both make partitions ahead, and the relay drops those of old keys.
    "wallet": (*_READ_WRITE, "ALTER", "DROP"),
    "ledger": (*_READ_WRITE, "ALTER"),
    "notify": _READ_WRITE,
    "edge": _READ_WRITE,
}
"""What a service needs on its own database, to serve."""

_OF_MIGRATIONS = {"CREATE", "DROP", "ALTER", "INDEX", "REFERENCES"}
_HARMLESS = {
    *("USAGE", "PROCESS", "SHOW DATABASES", "REPLICATION CLIENT", "BINLOG MONITOR"),
    *("SLAVE MONITOR", "REPLICA MONITOR"),
}
"""On all databases: they tell how the server does."""
APPEND_ONLY = {"ledger": "audit_events", "edge": "key_events"}
"""Tables whose rows are only ever inserted: who was let change them could hide what was done."""
_CHANGING = {"UPDATE", "DELETE"}

_GRANT = re.compile(
    r"GRANT (?P<privileges>.+?) ON (?:TABLE )?(?P<database>`(?:[^`]|``)+`|\*)"
    r"\.(?P<table>`(?:[^`]|``)+`|\*) TO (?P<rest>.*)"
)
_COLUMNS = re.compile(r"\s*\([^)]*\)")


@dataclass(frozen=True, slots=True)
class Grant:
    """Privileges on a database or table; ``*`` is all of them."""

    privileges: frozenset[str]
    database: str
    table: str

    def covers(self, database: str) -> bool:
        """Tell whether it counts on a database; a pattern's ``%`` and ``_`` stand for any."""
        if self.database == "*":
            return True
        parts = re.findall(r"\\.|.", self.database)
        any_ = {"%": ".*", "_": "."}
        pattern = "".join(any_.get(part) or re.escape(part[-1]) for part in parts)
        return re.fullmatch(pattern, database) is not None


def read(lines: Iterable[str]) -> list[Grant]:
    """Read what SHOW GRANTS has told; grants of roles and proxies are passed over."""
    found: list[Grant] = []
    for line in lines:
        match = _GRANT.match(line)
        if match is None:
            continue
        names = _COLUMNS.sub("", match["privileges"]).upper().split(",")
        privileges_ = {name.strip() for name in names}
        if "ALL PRIVILEGES" in privileges_:
            privileges_ |= {*_READ_WRITE, *_OF_MIGRATIONS}
        if "WITH GRANT OPTION" in match["rest"]:
            privileges_.add("GRANT OPTION")
        database, table = (_unquoted(match[name]) for name in ("database", "table"))
        found.append(Grant(frozenset(privileges_), database, table))
    return found


def _unquoted(name: str) -> str:
    return name[1:-1].replace("``", "`") if name.startswith("`") else name


def privileges(part: str, service: str, database: str, lines: Iterable[str]) -> list[Finding]:
    """Return what is missing and what is too much, or one line that all is as it should be."""
    grants = read(lines)
    own = [grant for grant in grants if grant.covers(database)]
    held = frozenset().union(*(grant.privileges for grant in own))
    missing = [name for name in NEEDED[service] if name not in held]
    found = list(_too_much(part, service, database, grants))
    if missing:
        names = ", ".join(missing)
        means = f"{service} can't do its work: statements are refused"
        mend = f"GRANT {names} ON `{database}`.* TO its user"
        found.insert(0, fail(part, "privileges", f"without {names}", means, mend))
    if not found:
        text = ", ".join(name for name in NEEDED[service])
        found.append(ok(part, "privileges", text, "what is needed, and nothing that is too much"))
    return found


def _too_much(part: str, service: str, database: str, grants: list[Grant]) -> Iterator[Finding]:
    reach: set[str] = set()
    for grant in grants:
        if grant.database == "*":
            reach |= grant.privileges - _HARMLESS
    if reach:
        names = "ALL PRIVILEGES" if "ALL PRIVILEGES" in reach else ", ".join(sorted(reach))
        yield warn(
            part,
            "privileges",
            f"{names} on all databases",
            "who gets hold of this user's password has the whole server",
            f"a user of its own, with GRANT {', '.join(NEEDED[service])} ON `{database}`.*",
        )
        return
    others = sorted({g.database for g in grants if not g.covers(database)} - {"*"})
    if others:
        yield warn(
            part,
            "privileges",
            f"also on {', '.join(others)}",
            "a service needs its own database alone",
            "a user for each service",
        )
    table = APPEND_ONLY.get(service)
    changing = {
        name
        for grant in grants
        if grant.covers(database) and grant.table in {"*", table}
        for name in grant.privileges & _CHANGING
    }
    if table is not None and changing:
        names = ", ".join(sorted(changing))
        yield warn(
            part,
            "privileges",
            f"{names} on {table}",
            "its rows are only ever inserted: who can change them can hide what was done",
            f"REVOKE {names} ON `{database}`.*, and grant them on each of the other tables",
        )
