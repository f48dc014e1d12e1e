"""What the same machine does without money, in the same run: the limits that results stand against.

`echo` is gRPC alone, `sql` the databases alone.
"""
