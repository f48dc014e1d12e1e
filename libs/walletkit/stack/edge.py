"""What the local suite's edge is given: keys of its own, and limits, made when they are missing."""

import json
import os
import secrets
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from walletkit.jwk import public_jwk
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

# [clients.web]
# write = { per_second = 50, burst = 100 }
"""


def make_files(run_dir: Path) -> None:
    """Make what is missing: what is there stays, and may be changed by hand."""
    folder = run_dir / FOLDER
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    signing_key = folder / SIGNING_KEY_FILE
    if not signing_key.exists():
        made = Ed25519PrivateKey.generate()
        pem = made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        _write(signing_key, pem, mode=0o600)
    if not (folder / JWKS_FILE).exists():
        _write(folder / JWKS_FILE, _jwks(signing_key.read_bytes()), mode=0o644)
    if not (folder / SEALING_KEY_FILE).exists():
        _write(folder / SEALING_KEY_FILE, secrets.token_hex(32).encode(), mode=0o600)
    if not (folder / LIMITS_FILE).exists():
        _write(folder / LIMITS_FILE, _LIMITS.encode(), mode=0o644)


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


def _jwks(pem: bytes) -> bytes:
    key = load_pem_private_key(pem, password=None)
    assert isinstance(key, Ed25519PrivateKey), "it was made here"
    return json.dumps({"keys": [public_jwk(key.public_key())]}, indent=2).encode()


def _write(path: Path, content: bytes, *, mode: int) -> None:
    """Write a file whole, whoever else reads or makes it now: the last one stays."""
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as file:
        file.write(content)
    scratch.replace(path)
