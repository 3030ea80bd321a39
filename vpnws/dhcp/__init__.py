"""DHCPv4 without I/O: how a client gets an address and keeps it, and what a server answers."""
