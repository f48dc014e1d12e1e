"""Let server reflection find methods by name, as ghz asks for them.

Python's descriptor pool knows files by message, enum and service, but not by method.
"""

from google.protobuf.descriptor import FileDescriptor
from google.protobuf.descriptor_pool import Default, DescriptorPool


class MethodPool:
    """The default pool, which also finds the file of ``package.Service.Method``."""

    def __init__(self) -> None:
        """Wrap the default pool."""
        self._pool: DescriptorPool = Default()

    def __getattr__(self, name: str) -> object:
        """Leave everything else to the pool."""
        return getattr(self._pool, name)

    def FindFileContainingSymbol(self, symbol: str) -> FileDescriptor:  # noqa: N802  # protobuf's
        """Return the file of a symbol. Raise ``KeyError`` when there is none."""
        try:
            return self._pool.FindFileContainingSymbol(symbol)
        except KeyError:
            service, _, method = symbol.rpartition(".")
            found = self._pool.FindServiceByName(service)
            return found.methods_by_name[method].containing_service.file
