"""A station's port: its connection, who reads and writes it, and how it is handed over."""
