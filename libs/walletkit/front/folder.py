"""Write a folder that Envoy starts from: its configuration, and every file of ours that it reads.

So an Envoy in an image of its own needs that folder alone, and the keys and certificates that the
settings name.
"""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from walletkit import documents
from walletkit.front.bootstrap import bootstrap
from walletkit.front.settings import Document, FrontSettings, documents_of

CONFIGURATION = "envoy.json"


def write(settings: FrontSettings, folder: Path) -> Path:
    """Fill the folder and return the configuration's path.

    What everybody may read is the contract, unless the settings name other documents. Raise
    ``OSError`` for a file that can't be read or written, ``ValueError`` as ``bootstrap`` does.
    """
    folder.mkdir(parents=True, exist_ok=True)
    served = documents_of(settings.documents_dir) or contract(settings.descriptors)
    descriptors = Path(shutil.copyfile(settings.descriptors, folder / settings.descriptors.name))
    own = settings.model_copy(update={"descriptors": descriptors, "documents_dir": None})
    return save(bootstrap(own, _copied(served, folder)), folder)


def save(configuration: dict[str, Any], folder: Path) -> Path:
    """Write a configuration into a folder, and return its path. Raise ``OSError``."""
    path = folder / CONFIGURATION
    path.write_text(json.dumps(configuration, indent=1) + "\n", encoding="utf-8")
    return path


def contract(descriptors: Path) -> list[Document]:
    """Return the contract that lies beside a descriptor set, and the page that shows it."""
    files = documents.files(descriptors.with_name("openapi.json"))
    return [Document(path, file) for path, file in files.items()]


def _copied(served: Sequence[Document], folder: Path) -> list[Document]:
    """Copy each file once; one may answer several paths."""
    copies: dict[Path, Path] = {}
    for document in served:
        if document.file not in copies:
            target = folder / f"{len(copies)}-{document.file.name}"
            copies[document.file] = Path(shutil.copyfile(document.file, target))
    return [Document(document.path, copies[document.file]) for document in served]
