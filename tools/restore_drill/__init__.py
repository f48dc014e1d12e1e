"""Lose a shard and the books under traffic, bring them back from backups, prove what is there.

On a suite of its own, in a temporary folder, on free ports. ``traffic`` moves money and remembers
what was acknowledged, ``drill`` loses and restores, ``report`` says what came of it.
"""
