"""Has programs see other files than the machine's own in /etc and elsewhere; nobody else does."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .netns import Namespace


def own_mounts(script: str) -> list[str]:
    """Return a command prefix that runs a shell script where what it mounts is seen by it alone.

    What stands behind the prefix are the script's arguments, so `exec "$@"` runs a command.
    """
    return ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh"]


@contextmanager
def own_file(namespace: Namespace, name: str, text: str) -> Iterator[None]:
    """Have the programs that are started in `namespace` read `text` in /etc/NAME."""
    # `ip netns exec` puts the files in here in the place of those in /etc.
    place = Path("/etc/netns") / namespace.name
    place.mkdir(parents=True)
    try:
        (place / name).write_text(text)
        yield
    finally:
        (place / name).unlink()
        place.rmdir()
