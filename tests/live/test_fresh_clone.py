"""`make run` on a fresh checkout: no virtual environment, no configuration, no root."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import time
import urllib.error
import urllib.request
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import processes
from tests.support.checkout import copy_checkout
from tests.support.netns import Namespace
from tests.support.prerequisites import require
from tests.support.service import Service

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.live

NOBODY = 65534
SETTLE_S = 1.0
URL = "http://127.0.0.1:8080/"


@pytest.fixture(scope="module")
def checkout() -> Iterator[Path]:
    """Yield a copy of the files that git tracks or would add, owned by the user who runs it."""
    require("git", "make", "cc", _python())
    with tempfile.TemporaryDirectory(prefix="vpnws-checkout-") as directory:
        root = Path(directory)
        root.chmod(0o755)
        copy_checkout(root)
        (root / "home").mkdir()
        if os.geteuid() == 0:
            processes.run(["chown", "-R", f"{NOBODY}:{NOBODY}", str(root)])
        yield root


def as_nobody(checkout: Path, *command: str) -> list[str]:
    """Return a command that runs without root, even if root runs the tests."""
    settings = ["env", f"HOME={checkout}/home", f"PYTHON={_python()}", *command]
    if os.geteuid() != 0:
        return settings
    return ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", *settings]


def _python() -> str:
    """Return a Python that the other user may run: root's own may lie in root's home."""
    return "/usr/bin/python3" if os.geteuid() == 0 else sys.executable


class MakeRun(Service):
    """`make run` in a checkout."""

    name = "make"

    def __init__(self, checkout: Path, namespace: Namespace | None) -> None:
        super().__init__(namespace)
        self._checkout = checkout

    def command(self) -> list[str]:
        """Return the command line."""
        return as_nobody(self._checkout, "make", "run")

    def working_directory(self) -> Path:
        """Return the checkout."""
        return self._checkout

    def is_ready(self) -> bool:
        """Return whether it serves."""
        return (self.namespace.call(ask) if self.namespace else ask()) == 426

    def stop(self) -> int:
        """End it as Ctrl-C does in a terminal: make, its shell and uWSGI are told."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGINT)
        return self.process.wait(self.stop_s)


def ask() -> int | None:
    """Return the status of the answer to a plain request; None without one."""
    try:
        urllib.request.urlopen(URL, timeout=2)
    except urllib.error.HTTPError as answer:
        return answer.code
    except OSError:
        return None
    return 200


@pytest.mark.timeout(900)
def test_make_run_serves_from_nothing(checkout: Path) -> None:
    made = processes.run(
        as_nobody(checkout, "make", "--no-print-directory", ".venv/ready"),
        cwd=checkout,
        timeout_s=800,
    )
    assert "rror" not in made.stderr
    kept = processes.run([f"{checkout}/.venv/bin/pip", "freeze"], cwd=checkout).stdout
    assert "gevent==" in kept
    for tests_alone in ("pytest", "mypy", "ruff", "py-spy", "hypothesis"):
        assert tests_alone not in kept
    embedded = processes.run([f"{checkout}/.venv/bin/uwsgi", "--python-version"]).stdout.strip()
    assert processes.run([_python(), "--version"]).stdout.strip() == f"Python {embedded}"
    # Its port is fixed, so it runs where nobody else can have it.
    namespace = Namespace("fresh") if os.geteuid() == 0 else nullcontext()
    with namespace as place, MakeRun(checkout, place) as running:
        assert (checkout / "uwsgi.sock").is_socket()
        # A Ctrl-C in the very moment in which processes start is not what this is about.
        running.wait_for_log("serves as process", 2)
        time.sleep(SETTLE_S)
        running.stop()
        assert not (checkout / "uwsgi.sock").exists()
    assert "CRITICAL" not in running.log_text()
