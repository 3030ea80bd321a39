"""The web side: judges a handshake and reads what the web server says of a station."""
