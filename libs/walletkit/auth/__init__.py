"""Find out who calls: tokens, the keys that prove them, and what an operator sets about both."""
