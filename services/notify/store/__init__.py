"""Notify's own database: subscriptions and dead letters."""
