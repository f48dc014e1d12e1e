"""What an event, a subscription, a cursor and a retry are. Pure: no I/O, no clock, no protobuf."""
