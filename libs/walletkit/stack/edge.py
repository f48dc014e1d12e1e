"""What the local suite's edge is given: keys of its own, and limits, made when they are missing."""

import secrets
from pathlib import Path

from walletkit.stack.issuer import make_key, write
from walletkit.stack.settings import LOOPBACK, StackSettings

ISSUER = "https://edge.guilder.local"
AUDIENCE = "guilder"
FOLDER = "auth"
"""In the suite's run folder."""
SIGNING_KEY_FILE = "edge.pem"
JWKS_FILE = "edge-jwks.json"
SEALING_KEY_FILE = "edge-sealing.key"
LIMITS_FILE = "edge-limits.toml"
SIGNATURE_WINDOW_S = 300
_LIMITS = """# How many calls a client may make: `burst` at once, filled again by `per_second`.
# Read when edge starts. docs/operations.md says more.
[default]
read = { per_second = 10000, burst = 20000 }
write = { per_second = 10000, burst = 20000 }
batch = { per_second = 10000, burst = 20000 }

# [clients."key:web"]
# write = { per_second = 50, burst = 100 }
"""


def make_files(run_dir: Path) -> None:
    """Make what is missing: what is there stays, and may be changed by hand."""
    folder = run_dir / FOLDER
    make_key(folder / SIGNING_KEY_FILE, jwks(run_dir))
    if not (folder / SEALING_KEY_FILE).exists():
        write(folder / SEALING_KEY_FILE, secrets.token_hex(32).encode(), mode=0o600)
    if not (folder / LIMITS_FILE).exists():
        write(folder / LIMITS_FILE, _LIMITS.encode(), mode=0o644)


def jwks(run_dir: Path) -> Path:
    """Return the file of the keys that edge's tokens are checked with."""
    return run_dir / FOLDER / JWKS_FILE


def environment(settings: StackSettings, database_url: str, redis_url: str) -> dict[str, str]:
    """Return edge's variables."""
    folder = settings.run_dir / FOLDER
    return {
        "EDGE_LISTEN": f"{LOOPBACK}:{settings.edge_port}",
        "EDGE_DATABASE_URL": database_url,
        "EDGE_REDIS_URL": redis_url,
        "EDGE_SIGNING_KEY_FILE": str(folder / SIGNING_KEY_FILE),
        "EDGE_SEALING_KEY_FILE": str(folder / SEALING_KEY_FILE),
        "EDGE_LIMITS_FILE": str(folder / LIMITS_FILE),
        "EDGE_SIGNATURE_WINDOW_S": str(SIGNATURE_WINDOW_S),
        "EDGE_ISSUER": ISSUER,
        "EDGE_AUDIENCE": AUDIENCE,
        "EDGE_LOG_LEVEL": settings.log_level,
    }
