"""Benchmarks of CPU time: the core's stages, and a worker of the real server."""
