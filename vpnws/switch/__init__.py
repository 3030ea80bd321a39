"""The learning Ethernet switch, without I/O: frames and `now` in, queued frames out."""
