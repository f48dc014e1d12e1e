"""Export a closed month to files, and check such files without a database.

``take`` writes a month's records, the entries made of them and the trial balance, beside a manifest
of hashes; ``check`` follows it all again from the bytes. docs/operations.md, Closed months.
"""
