"""Open the files of an export, which may come from anybody. Leads to no other file, never waits."""

import errno
import os
import stat
from pathlib import Path
from typing import IO

_NOT_REGULAR = "not a regular file"


def open_regular(path: Path) -> IO[bytes]:
    """Open a file to read it. Raise ``OSError``, also for a link, a device or a pipe."""
    try:
        # Without O_NONBLOCK a pipe would have to be written to before it is open.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        # What a link and a socket give.
        if error.errno in (errno.ELOOP, errno.ENXIO):
            raise OSError(error.errno, _NOT_REGULAR) from None
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, _NOT_REGULAR)
    return os.fdopen(descriptor, "rb")
