"""TAP devices: one contract, and the devices that keep it."""
