"""Takes in the relays' records, in order, verified, once each."""
