"""The test harness: namespaces, real uWSGI and nginx, certificates, a client that may misbehave."""
