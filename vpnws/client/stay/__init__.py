"""Notices what a connection does not tell: another network, and a machine that slept."""
