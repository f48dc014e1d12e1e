"""The command line `guilder`: a file for each command group; speaks through ``guilder.client``."""
