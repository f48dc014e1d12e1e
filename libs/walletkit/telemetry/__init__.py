"""Logs that all services share."""
