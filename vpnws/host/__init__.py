"""The shells around the core: uWSGI, TAP devices, sockets, the event loop, shared memory."""
