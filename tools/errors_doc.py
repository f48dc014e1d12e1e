"""Write docs/errors.md from the one catalogue of errors (walletkit.errors). `make docs`."""

import sys
from pathlib import Path

from walletkit.errors import CATALOGUE, Code

PAGE = Path("docs/errors.md")

# How Envoy's transcoder renders each code.
_HTTP = {
    Code.INVALID_ARGUMENT: 400,
    Code.FAILED_PRECONDITION: 400,
    Code.OUT_OF_RANGE: 400,
    Code.UNAUTHENTICATED: 401,
    Code.PERMISSION_DENIED: 403,
    Code.NOT_FOUND: 404,
    Code.ALREADY_EXISTS: 409,
    Code.ABORTED: 409,
    Code.UNAVAILABLE: 503,
    Code.DEADLINE_EXCEEDED: 504,
    Code.INTERNAL: 500,
}

_HEAD = """# Errors

Made from `libs/walletkit/errors.py` by `make docs`; a test keeps both equal.

Every error is a `google.rpc.Status`: a gRPC code, a sentence for people, and details for
programs: always an `ErrorInfo` with `reason`, `domain` = `guilder` and `metadata` (ids and numbers
that the sentence names), and for malformed requests a `BadRequest` with one entry for each field.
Decide by `reason`; sentences may change.

Checks come in one order: credentials and role, shape, then the idempotency key, then existence,
state, currency, version, limits, funds.

**Is it kept with its key?** Declines with FAILED_PRECONDITION or ABORTED are decisions: the same
key gets the same decline, also when the wallet could pay by now. Everything else may end otherwise
next time.

**Safe to retry with the same key:** UNAVAILABLE and DEADLINE_EXCEEDED, always. Nothing is done
twice.

| reason | gRPC | HTTP | meaning |
| --- | --- | --- | --- |
"""


def page() -> str:
    """Return the page's text."""
    rows = [
        f"| `{reason}` | {entry.code.name} | {_HTTP[entry.code]} | {entry.meaning} |\n"
        for reason, entry in CATALOGUE.items()
    ]
    return _HEAD + "".join(rows)


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(), encoding="utf-8")
    sys.stdout.write(f"{PAGE}: {len(CATALOGUE)} reasons\n")


if __name__ == "__main__":
    main()
