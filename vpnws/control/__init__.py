"""The operator's side of the server: what can be seen of it, and what can be asked of it."""
