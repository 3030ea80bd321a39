"""Runs Debian's Prometheus on a free port of this machine."""

from __future__ import annotations

import json
import urllib.request
from contextlib import suppress
from typing import Any
from urllib.parse import quote

from .service import Service
from .tools import tool_path
from .uwsgi import free_port

TIMEOUT_S = 10.0


class Prometheus(Service):
    """Prometheus with a configuration, and what it has read."""

    name = "prometheus"

    def __init__(self, config: str) -> None:
        """`config` is its configuration, as YAML."""
        super().__init__()
        self._port = free_port()
        self._config = config

    def lay_out(self) -> None:
        """Write its configuration."""
        (self.directory / "prometheus.yml").write_text(self._config)

    def command(self) -> list[str]:
        """Return the command line."""
        return [
            tool_path("prometheus") or "prometheus",
            f"--config.file={self.directory / 'prometheus.yml'}",
            f"--storage.tsdb.path={self.directory / 'data'}",
            f"--web.listen-address=127.0.0.1:{self._port}",
        ]

    def is_ready(self) -> bool:
        """Return whether it answers queries."""
        with suppress(OSError):
            return self._get("status/runtimeinfo") is not None
        return False

    def query(self, expression: str) -> list[float]:
        """Return the values of an expression now."""
        found = self._get(f"query?query={quote(expression)}")["result"]
        return [float(each["value"][1]) for each in found]

    def rules(self) -> list[dict[str, Any]]:
        """Return the rules that it evaluates."""
        return [rule for group in self._get("rules")["groups"] for rule in group["rules"]]

    def _get(self, path: str) -> Any:
        address = f"http://127.0.0.1:{self._port}/api/v1/{path}"
        with urllib.request.urlopen(address, timeout=TIMEOUT_S) as answer:
            return json.loads(answer.read())["data"]
