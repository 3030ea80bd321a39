"""From a URL to a WebSocket: look up, dial, TLS, upgrade."""
