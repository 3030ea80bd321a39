"""Makes views of one process's ports, FDB and queues, and does what the operator commands."""
