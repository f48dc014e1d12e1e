"""Note when keys were last used: in memory on the way of a call, in the database now and then."""

from edge.store.keys import Keys
from walletkit.errors import ServiceError

MAX_NOTED = 10_000
"""Keys between two writes; the uses of more than that are noted later."""


class Uses:
    """The last use of each key since the last write."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys
        self._noted: dict[bytes, int] = {}

    def note(self, key_id: bytes, now_us: int) -> None:
        """Note a use."""
        if key_id in self._noted or len(self._noted) < MAX_NOTED:
            self._noted[key_id] = now_us

    async def write(self) -> None:
        """Write what was noted. Raise EDGE_UNAVAILABLE; it is then written the next time."""
        if not self._noted:
            return
        writing, self._noted = self._noted, {}
        try:
            await self._keys.note_uses(writing)
        except ServiceError:
            self._noted = writing | self._noted
            raise
