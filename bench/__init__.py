"""Benchmarks in CPU time: of the core's stages, and of a worker of the real server."""
