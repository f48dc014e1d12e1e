"""What the front door shows to everybody: the contract, and a page on which it can be read.

The page is swagger-ui, out of a package of the lock: nothing of it comes from another host. Its
html and the lines that start it are ours, beside this file.
"""

import shutil
from importlib import resources
from pathlib import Path
from typing import NamedTuple

VIEWER = ("swagger-ui-bundle.js", "swagger-ui.css", "favicon-32x32.png")
OURS = ("index.html", "start.js")
LARGEST_BYTES = 2 * 1024 * 1024
"""No file is larger: a server that keeps them in memory may take this as its bound."""

_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".png": "image/png",
}


class Document(NamedTuple):
    """A file that is served as it is."""

    path: str
    file: Path

    @property
    def content_type(self) -> str:
        """Return its media type."""
        return _TYPES[self.file.suffix]


def documents(openapi: Path) -> tuple[Document, ...]:
    """List all files with their paths: the contract at /openapi.json, its page at /docs."""
    ours, viewer = Path(__file__).parent, _viewer()
    return (
        Document("/openapi.json", openapi),
        Document("/docs", ours / "index.html"),
        *(Document(f"/docs/{name}", ours / name) for name in OURS),
        *(Document(f"/docs/{name}", viewer / name) for name in VIEWER),
    )


def lay_out(folder: Path, openapi: Path) -> None:
    """Copy all files below a folder, each to its path; /docs is docs/index.html there."""
    for path, file in documents(openapi):
        if path != "/docs":
            target = folder / path.removeprefix("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)


def _viewer() -> Path:
    """Return the folder of the viewer's files, whatever its version is called."""
    vendor = Path(str(resources.files("swagger_ui_bundle"))) / "vendor"
    return next(iter(sorted(vendor.glob("swagger-ui-*"))))
