"""From a URL to a WebSocket: look up, dial, proxy, TLS, upgrade."""
