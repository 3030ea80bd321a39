"""Stand-ins for what the server runs in: a loop, uWSGI, wires and a whole server in one process."""
