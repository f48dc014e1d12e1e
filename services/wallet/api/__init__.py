"""The gRPC face of the wallets: parse, submit, render. Never touches SQL."""
