"""The commands: what each asks of the server, and what it shows."""
