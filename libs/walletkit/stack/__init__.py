"""Start, stop and show the local suite: databases, Redis, the services, the relay and Envoy.

`python -m walletkit.stack up | down | status` for people, `Stack` for tests. Starts processes of
its own on loopback, with data folders of its own; never touches a database that it did not start.
"""

from walletkit.stack.errors import StackError
from walletkit.stack.settings import StackSettings
from walletkit.stack.stack import ProcessStatus, Stack

__all__ = ["ProcessStatus", "Stack", "StackError", "StackSettings"]
