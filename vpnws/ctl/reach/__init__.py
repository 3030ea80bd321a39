"""The ways to a server's control interface: its own socket, or a URL."""
