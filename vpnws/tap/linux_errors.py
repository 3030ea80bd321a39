"""Turns what Linux answers about a TAP device into errors with a sentence."""

from __future__ import annotations

import errno

from vpnws.errors import TapBusyError, TapError, TapPermissionError
from vpnws.tap.contract import DELETED_ERROR


def commands_to_make(name: str, user: str, *, exists: bool) -> str:
    """Return what root types to make the TAP device `name` for `user`, who has no privileges.

    `exists` says that there is one which `user` may not open.
    """
    delete = f"ip link delete {name}; " if exists else ""
    return f"{delete}ip tuntap add {name} mode tap user {user}; ip link set {name} up"


def explained(error: OSError, name: str, verb: str) -> TapError:
    """Return what to raise when Linux refused to `verb` the TAP device `name` with `error`."""
    code = error.errno
    if code in (errno.EPERM, errno.EACCES):
        return TapPermissionError(
            f"no permission to {verb} the TAP device {name}: run as root or give the program"
            " CAP_NET_ADMIN (in a container root has it only with --cap-add NET_ADMIN)"
        )
    if code == DELETED_ERROR:
        return TapError(f"the TAP device {name} was deleted")
    if code == errno.ENODEV:
        return TapError(
            f"the TAP device {name} is gone: it was deleted, renamed or moved to another network"
            " namespace"
        )
    if code == errno.EBUSY:
        return TapBusyError(f"the TAP device {name} is in use by another process")
    return TapError(f"cannot {verb} the TAP device {name}: {error.strerror or error}")
