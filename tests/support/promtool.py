"""Prometheus's own tool, which checks metrics and alert rules."""

from __future__ import annotations

import subprocess

from tests.support.prerequisites import require
from tests.support.tools import tool_path


def check_metrics(text: str) -> None:
    """Have it read and lint metrics."""
    done = promtool("check", "metrics", text=text)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def promtool(*arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
    """Run it with `text` as its input."""
    require("promtool")
    command = [tool_path("promtool") or "promtool", *arguments]
    return subprocess.run(
        command, input=text, capture_output=True, encoding="utf-8", check=False, timeout=60
    )
