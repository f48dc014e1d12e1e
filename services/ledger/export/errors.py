"""What goes wrong with an export, in words for who has to put it right."""


class ExportError(RuntimeError):
    """A month was not exported; the message says which field, its value and the rule."""


class BrokenFileError(RuntimeError):
    """A file of an export can't be read on."""

    def __init__(self, line: int, text: str) -> None:
        super().__init__(text)
        self.line = line
        """Where it stopped, from 1; 0 for the file as a whole."""
