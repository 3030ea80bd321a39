"""A station's port: its connection, who reads and writes it, and the record that can move."""
