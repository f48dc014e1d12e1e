"""`guilder doctor`: look at everything that an installation stands on, and say what to mend.

Each file looks at one kind of part and returns findings; nothing here changes anything.
"""

from guilder.cli.doctor.command import doctor

__all__ = ["doctor"]
