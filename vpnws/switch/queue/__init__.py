"""A port's egress queue: in order while the port keeps up, flow by flow when it does not."""
