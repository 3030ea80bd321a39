"""Metrics for Prometheus: made of what all processes count, anew at each scrape."""
