"""What the stack runner raises; the message is written for the person at the terminal."""


class StackError(Exception):
    """Say what failed and what to do about it, in whole sentences."""
