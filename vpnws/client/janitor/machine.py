"""What the janitor works on: the programs, devices and files of a machine, or their fakes."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from vpnws.client.janitor.announcer import announce
from vpnws.client.janitor.programs import Programs
from vpnws.errors import VpnwsError
from vpnws.tap import netdevice

if TYPE_CHECKING:
    from collections.abc import Callable

    from vpnws.client.janitor.programs import Runner

RESOLV_CONF: Final = Path("/etc/resolv.conf")
SYSCTLS: Final = Path("/proc/sys")


class ChangeError(VpnwsError):
    """The machine refused a change.

    Arguments: the sentence to show, and whether a privilege is missing.
    """

    def __init__(self, sentence: str, *, lacks_permission: bool = False) -> None:
        super().__init__(sentence)
        self.lacks_permission = lacks_permission


def index_of(device: str) -> int:
    """Return the kernel's number of the device `device` in our namespace, 0 if there is none."""
    try:
        found = netdevice.ask(device)
    except OSError:
        return 0
    return 0 if found is None else found.index


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine; a test may put a fake in each place."""

    runner: Runner = field(default_factory=Programs)
    index_of: Callable[[str], int] = index_of
    announce: Callable[[str, str], None] = announce
    resolv_conf: Path = RESOLV_CONF
    sysctls: Path = SYSCTLS

    def change(self, purpose: str, *words: str, text: str = "") -> None:
        """Run a program that changes something. Raises ChangeError: cannot `purpose`, and why."""
        outcome = self.runner.run(*words, text=text)
        if outcome.status:
            raise self.refused(purpose, outcome.error, outcome.lacks_permission, words)

    @staticmethod
    def refused(
        purpose: str, error: str, lacks_permission: bool, words: tuple[str, ...]
    ) -> ChangeError:
        """Return what to raise when the machine refused to `purpose` with `error`."""
        sentence = f"cannot {purpose}: {error}"
        if lacks_permission:
            sentence += (
                "; run as root or give the program CAP_NET_ADMIN; or have root type:"
                f" {' '.join(words)}"
            )
        return ChangeError(sentence, lacks_permission=lacks_permission)
