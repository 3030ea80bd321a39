"""The server's TAPs: made at the start, owned by the mule, joined to the switch."""
