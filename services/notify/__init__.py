"""Notify: turns the wallets' records into events, and delivers them to webhooks and watchers."""
