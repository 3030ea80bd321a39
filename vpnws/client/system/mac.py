"""The MAC of a station that was given none: the same one whenever it starts again."""

from __future__ import annotations

import os
import re
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Final

from vpnws.wire.ethernet import MAC_BYTES, local_mac

if TYPE_CHECKING:
    from vpnws.client.settings import ClientSettings

MACHINE_ID: Final = Path("/etc/machine-id")
_OWN_NETWORK: Final = Path("/proc/self/ns/net")
_FIRST_NETWORK: Final = Path("/proc/1/ns/net")
_PERSON: Final = b"vpnws-client-mac"


def machine_name() -> tuple[str, str]:
    """Return the machine's secret id, empty if it has none, and what else tells it from others.

    Clones share an id and rarely a host name. Network namespaces share both, so one that is not the
    machine's first adds its own number.
    """
    try:
        text = MACHINE_ID.read_text().strip()
    except OSError:
        text = ""
    identifier = text if re.fullmatch("[0-9a-f]{32}", text) else ""
    return identifier, f"{os.uname().nodename} {_namespace()}"


def default_mac(settings: ClientSettings, device: str, machine: tuple[str, str]) -> bytes | None:
    """Return the MAC for `device`, None if the machine (of `machine_name`) has no id.

    Another server or user means another MAC: networks cannot follow a machine, and a named user's
    MAC is reserved for that user. The id is secret (machine-id(5)), so it only is a key.
    """
    identifier, name = machine
    if not identifier:
        return None
    user = settings.login[0] if settings.login else ""
    parts = (name, device, settings.url.shown, user, str(settings.tls.certificate or ""))
    content = b"\0".join(os.fsencode(part) for part in parts)
    keyed = blake2b(content, digest_size=MAC_BYTES, key=identifier.encode(), person=_PERSON)
    return local_mac(keyed.digest())


def _namespace() -> str:
    """Return the number of our network namespace, empty if it is known to be the first.

    Only root may look at the first one. The number of our own stays the same until the kernel is
    replaced, or the namespace.
    """
    own, first = _number(_OWN_NETWORK), _number(_FIRST_NETWORK)
    return "" if own == first else own


def _number(namespace: Path) -> str:
    try:
        return str(namespace.stat().st_ino)
    except OSError:
        return ""
