"""All that lives in Redis: the kept records, their heads, and the delivery queues."""
