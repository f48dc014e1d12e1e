"""What the suite makes for its edge: once, for this user alone, and fit for each other."""

import json
import stat
from pathlib import Path

from edge.access.issuer import SigningKey
from edge.access.sealing import Sealer
from edge.settings import read_limits
from walletkit.stack import edge


def test_files_are_made_once_and_fit(tmp_path: Path) -> None:
    """The published key is the signing key's; a second start changes nothing."""
    edge.make_files(tmp_path)
    folder = tmp_path / edge.FOLDER
    jwks = json.loads((folder / edge.JWKS_FILE).read_text())
    assert jwks == SigningKey.read(folder / edge.SIGNING_KEY_FILE).jwks()
    Sealer.read(folder / edge.SEALING_KEY_FILE)
    assert read_limits(folder / edge.LIMITS_FILE).default.write.burst > 0
    for name in (edge.SIGNING_KEY_FILE, edge.SEALING_KEY_FILE):
        assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    edge.make_files(tmp_path)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
