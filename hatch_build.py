"""Generate gen/ from protos/: a hatch build hook, and `python hatch_build.py` for `make gen`.

Builds the Python stubs with their types, the descriptor set that Envoy's transcoder reads, the
OpenAPI document of the same calls, and the third-party protos that buf resolves imports with.
Touches nothing outside gen/.
"""

import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from google.api import annotations_pb2
from google.protobuf import descriptor_pb2
from grpc_tools import protoc
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

# Error details are packed into Any, so no proto of ours imports them, yet Envoy renders them and
# clients decode them: they belong to the descriptor set all the same.
EXTRA_PROTOS = ("google/rpc/status.proto", "google/rpc/error_details.proto")
DESCRIPTOR_SET = "guilder.binpb"
DOCUMENT = "openapi.json"
THIRD_PARTY = "third_party"


class StubsBuildHook(BuildHookInterface):  # type: ignore[type-arg]
    """Generate the stubs before hatchling collects files for a wheel or an editable install."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002
        """Generate gen/; an sdist carries the protos instead and generates when it is built."""
        if self.target_name == "wheel":
            generate(Path(self.root))


def generate(root: Path) -> int:
    """Bring gen/ up to date with protos/ and return how many files changed.

    Writes only what differs, each file in one step, so a process that imports the stubs meanwhile
    never reads half a module.
    """
    protos = sorted(
        path.relative_to(root / "protos") for path in root.glob("protos/guilder/**/*.proto")
    )
    with tempfile.TemporaryDirectory(prefix="guilder-gen-") as scratch:
        fresh = Path(scratch)
        if protos:
            _run_protoc(root / "protos", [str(path) for path in protos], fresh)
            _write_document(root, fresh)
            _copy_third_party(fresh)
            _mark_typed(fresh)
        return _replace(fresh, root / "gen")


def _run_protoc(source: Path, protos: list[str], out: Path) -> None:
    """Run protoc once for everything; raise SystemExit with protoc's status when it fails."""
    plugins = [
        f"--plugin={name}={_program(name)}" for name in ("protoc-gen-mypy", "protoc-gen-mypy_grpc")
    ]
    kinds = ("python", "grpc_python", "mypy", "mypy_grpc")
    quiet = ("mypy", "mypy_grpc")
    outputs = [f"--{kind}_out={'quiet:' if kind in quiet else ''}{out}" for kind in kinds]
    includes = [f"-I{source}", *(f"-I{path}" for path in _bundled_includes())]
    status = protoc.main(["protoc", *includes, *plugins, *outputs, *protos])
    if status == 0:
        image = [
            "--include_imports",
            "--include_source_info",
            f"--descriptor_set_out={out / DESCRIPTOR_SET}",
        ]
        status = protoc.main(["protoc", *includes, *image, *protos, *EXTRA_PROTOS])
    if status != 0:
        raise SystemExit(f"protoc failed with status {status}: see the messages above")


def _program(name: str) -> str:
    """Find a protoc plugin beside this interpreter, or in PATH; SystemExit when it is nowhere."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    found = shutil.which(name, path=path)
    if found is None:
        raise SystemExit(f"{name} is missing: run `make setup`")
    return found


def _bundled_includes() -> list[Path]:
    """Return the folders of google/api, google/rpc (a wheel of their own) and google/protobuf."""
    googleapis = Path(annotations_pb2.__file__).parents[2]
    return [googleapis, Path(protoc.__file__).parent / "_proto"]


def _write_document(root: Path, out: Path) -> None:
    """Write the OpenAPI document. A build runs where nothing of ours is installed yet."""
    sys.path[:0] = [str(root), str(root / "libs")]
    try:
        from tools.openapi.document import render  # noqa: PLC0415  # only importable from here on
    finally:
        del sys.path[:2]
    image = (out / DESCRIPTOR_SET).read_bytes()
    (out / DOCUMENT).write_text(render(image, root), encoding="utf-8")


def _copy_third_party(out: Path) -> None:
    """Copy the imported protos that are not ours for buf, which brings google/protobuf itself."""
    image = descriptor_pb2.FileDescriptorSet.FromString((out / DESCRIPTOR_SET).read_bytes())
    wheel = _bundled_includes()[0]
    for file in image.file:
        if not file.name.startswith(("guilder/", "google/protobuf/")):
            target = out / THIRD_PARTY / file.name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes((wheel / file.name).read_bytes())


def _mark_typed(out: Path) -> None:
    """Put PEP 561 markers below the namespace package, which can't carry one itself."""
    for package in (out / "guilder").iterdir():
        if package.is_dir():
            (package / "py.typed").touch()


def _replace(fresh: Path, gen: Path) -> int:
    """Make gen/ equal to the fresh tree and return how many files were written or removed."""
    wanted = {path.relative_to(fresh): path for path in fresh.rglob("*") if path.is_file()}
    changed = 0
    for name, path in wanted.items():
        target = gen / name
        if target.is_file() and target.read_bytes() == path.read_bytes():
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(f".{target.name}.{os.getpid()}")
        partial.write_bytes(path.read_bytes())
        partial.replace(target)
        changed += 1
    for path in sorted(gen.rglob("*"), reverse=True):
        if path.is_dir() and not any(path.iterdir()):
            path.rmdir()
        elif (
            path.is_file()
            and "__pycache__" not in path.parts
            and path.relative_to(gen) not in wanted
        ):
            path.unlink()
            changed += 1
    return changed


if __name__ == "__main__":
    count = generate(Path(__file__).resolve().parent)
    sys.stdout.write(f"gen/: {count} files changed\n" if count else "gen/: up to date\n")
