"""The front door: what Envoy is told, made of the contracts and of settings. No I/O but files.

``bootstrap(settings)`` is the whole configuration. ``python -m walletkit.front`` writes it for any
Envoy: in the local suite, in a container, in a chart. docs/front-door.md says what it does and why.
"""

from walletkit.front.bootstrap import bootstrap
from walletkit.front.settings import Document, FrontSettings

__all__ = ["Document", "FrontSettings", "bootstrap"]
