"""Know what of a record's form two services must agree on, beside the message itself. Pure."""

RECORD_VERSION = 1
"""The one format of records: what the wallet service writes, and what the others know to read."""

RETURN_LEG = 128
"""Legs from this number on bring money back: leg ``n`` returns as leg ``n + RETURN_LEG``."""
