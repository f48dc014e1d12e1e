"""Hold the token that this service shows to others: from a file, read again when it changes."""

from pathlib import Path

import structlog

from walletkit.auth.refusals import StartError
from walletkit.auth.verifier import MAX_TOKEN_CHARS

log = structlog.get_logger()


class TokenFile:
    """A file that somebody else renews, as Kubernetes does with projected tokens."""

    def __init__(self, path: Path) -> None:
        """Read the file. Raise ``StartError`` when it has no token."""
        self._path = path
        self._token = ""
        self._version: tuple[int, int] | None = None
        try:
            self._look()
        except OSError as error:
            raise StartError(f"{path}: {error.strerror}") from error
        if not self._token:
            raise StartError(f"{path}: no token of at most {MAX_TOKEN_CHARS} characters")

    def token(self) -> str:
        """Return the token of now: the last good one while the file has none."""
        try:
            self._look()
        except OSError as error:
            log.warning("the token can't be read", path=str(self._path), error=error.strerror)
        return self._token

    def _look(self) -> None:
        """Read the file if it is another than the last time: a look costs microseconds."""
        found = self._path.stat()
        version = (found.st_ino, found.st_mtime_ns)
        if version == self._version:
            return
        with self._path.open(encoding="ascii", errors="replace") as file:
            token = file.read(MAX_TOKEN_CHARS + 1).strip()
        self._version = version
        if token.isprintable() and 0 < len(token) <= MAX_TOKEN_CHARS:
            self._token = token
        else:
            log.warning("the file has no token", path=str(self._path))
