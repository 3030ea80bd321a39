"""The doctor: names what on a host is known to break such networks, each with its remedy."""
