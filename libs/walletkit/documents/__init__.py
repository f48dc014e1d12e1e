"""What the front door shows to everybody: the contract, and a page on which it can be read.

The page is swagger-ui, out of a package of the lock: nothing of it comes from another host. Its
html and the lines that start it are ours, beside this file.
"""

from collections.abc import Mapping
from importlib import resources
from pathlib import Path

VIEWER = ("swagger-ui-bundle.js", "swagger-ui.css", "favicon-32x32.png")
OURS = ("index.html", "start.js")
LARGEST_BYTES = 2 * 1024 * 1024
"""No file is larger: a server that keeps them in memory may take this as its bound."""


def files(openapi: Path) -> Mapping[str, Path]:
    """Return all files by their paths: the contract at /openapi.json, its page at /docs."""
    ours, viewer = Path(__file__).parent, _viewer()
    return {
        "/openapi.json": openapi,
        "/docs": ours / "index.html",
        **{f"/docs/{name}": ours / name for name in OURS},
        **{f"/docs/{name}": viewer / name for name in VIEWER},
    }


def _viewer() -> Path:
    """Return the folder of the viewer's files, whatever its version is called."""
    vendor = Path(str(resources.files("swagger_ui_bundle"))) / "vendor"
    return next(iter(sorted(vendor.glob("swagger-ui-*"))))
