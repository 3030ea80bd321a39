"""The operator's program vpnws-ctl: asks a server what it sees, and steers it."""
