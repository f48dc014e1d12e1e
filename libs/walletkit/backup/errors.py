"""What goes wrong with a backup, in words for who has to put it right."""


class BackupError(RuntimeError):
    """A backup was not taken, or not restored; the message says why, and what to do."""
