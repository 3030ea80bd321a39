"""A small privileged process that changes the machine's network for the client, and undoes it."""
