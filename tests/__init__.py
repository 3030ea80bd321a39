"""The tests: unit (the core), live (real uWSGI and proxies), netns (real TAPs in namespaces)."""

import os

_OWN = "localhost,example.org,127.0.0.0/8,10.0.0.0/8,192.0.2.0/24,::1,fd00::/8,2001:db8::/32"
"""What the tests connect to. A proxy of this machine is for its package mirrors."""
os.environ["no_proxy"] = ",".join(
    filter(None, (os.environ.get("no_proxy") or os.environ.get("NO_PROXY"), _OWN))
)
