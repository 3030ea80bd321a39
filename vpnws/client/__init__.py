"""The station: a TAP device on Linux, joined to a vpnws switch over a WebSocket."""
