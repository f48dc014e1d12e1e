"""Turns records into deliveries and carries them out: matching, retries, webhooks."""
