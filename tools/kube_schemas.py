"""Write the JSON schemas that kubeconform reads, out of the package kubernetes-validate.

`python tools/kube_schemas.py PACKAGE FOLDER`. The package's files refer to one big file of
definitions; kubeconform wants each kind whole. The schemas are strict: unknown fields are refused.
"""

import json
import re
import sys
from pathlib import Path
from typing import Any

VERSION = "v1.34.0"
KINDS = (
    "configmap-v1",
    "cronjob-batch-v1",
    "deployment-apps-v1",
    "horizontalpodautoscaler-autoscaling-v2",
    "ingress-networking-v1",
    "job-batch-v1",
    "networkpolicy-networking-v1",
    "pod-v1",
    "poddisruptionbudget-policy-v1",
    "secret-v1",
    "service-v1",
    "serviceaccount-v1",
)
_REFERENCE = re.compile(r'"(?:/api/_definitions\.json)?#/\$defs/([^"]+)"')


def whole(kind: Path, definitions: dict[str, Any]) -> dict[str, Any]:
    """Return a kind's schema with all the definitions that it leads to."""
    text = kind.read_text(encoding="utf-8")
    found: dict[str, str] = {}
    waiting = set(_REFERENCE.findall(text))
    while waiting:
        name = waiting.pop()
        found[name] = json.dumps(definitions[name])
        waiting |= set(_REFERENCE.findall(found[name])) - found.keys()
    schema: dict[str, Any] = json.loads(_local(text))
    # Its name on the web; kubeconform knows it by its file.
    schema.pop("$id", None)
    schema["$defs"] = {name: json.loads(_local(text)) for name, text in found.items()}
    return schema


def _local(text: str) -> str:
    return _REFERENCE.sub(r'"#/$defs/\1"', text)


def main() -> None:
    """Write them."""
    package, folder = Path(sys.argv[1]), Path(sys.argv[2])
    source = package / "kubernetes_validate/kubernetes-json-schema" / f"{VERSION}-local-strict"
    definitions = json.loads((source / "_definitions.json").read_text(encoding="utf-8"))
    folder.mkdir(parents=True, exist_ok=True)
    for kind in KINDS:
        schema = whole(source / f"{kind}.json", definitions["$defs"])
        (folder / f"{kind}.json").write_text(json.dumps(schema), encoding="utf-8")


if __name__ == "__main__":
    main()
