"""Examples of calls, as docs/api.md shows them: one recorded request and reply for each."""

import json
from collections.abc import Container
from pathlib import Path
from typing import Any

from google.protobuf.descriptor import MethodDescriptor

from tools.openapi.catalogue import camel

PAGE = Path("docs/api.json")


class Examples:
    """Recorded calls, by service and call."""

    def __init__(self, calls: dict[str, dict[str, Any]]) -> None:
        self._calls = calls

    @classmethod
    def read(cls, root: Path) -> "Examples":
        """Read what is recorded in a clone; nothing where there is no such file."""
        path = root / PAGE
        return cls(json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {})

    def request(self, method: MethodDescriptor, without: Container[str] = ()) -> Any | None:  # noqa: ANN401  # JSON
        """Return a request's JSON, less the fields that a path carries."""
        found = self._call(method).get("request")
        if found is None:
            return None
        bound = {camel(field.name) for field in method.input_type.fields if field.name in without}
        return {name: value for name, value in found.items() if name not in bound}

    def reply(self, method: MethodDescriptor) -> Any | None:  # noqa: ANN401  # JSON
        """Return a reply's JSON; of a stream the first message."""
        found = self._call(method).get("reply")
        return found[0] if isinstance(found, list) and found else found

    def _call(self, method: MethodDescriptor) -> dict[str, Any]:
        return self._calls.get(f"{method.containing_service.name}.{method.name}", {})
