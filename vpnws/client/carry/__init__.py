"""Carries frames between the TAP and one connection."""
