"""Proofs that run in production: chain, transit, and the wallets' own balances."""
