"""Whose credential a call carries, what it may, and whether it is too many."""
