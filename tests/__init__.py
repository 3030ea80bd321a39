"""The tests: unit (the core), live (real uWSGI and proxies), netns (real TAPs in namespaces)."""
