"""The user and the group that uWSGI becomes: its options uid and gid, read as uWSGI reads them."""

from __future__ import annotations

import grp
import os
import pwd
from typing import TYPE_CHECKING

from vpnws.errors import ConfigError
from vpnws.server import ini

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def read_uid(environment: Mapping[str, str]) -> int | None:
    """Return the user of uWSGI's option uid, a number or a name; None if it is not set.

    Raises ConfigError if there is no such user.
    """
    return _read(environment, "uid", "user", "useradd", lambda name: pwd.getpwnam(name).pw_uid)


def read_gid(environment: Mapping[str, str]) -> int | None:
    """Return the group of uWSGI's option gid; None if it is not set. Raises ConfigError."""
    return _read(environment, "gid", "group", "groupadd", lambda name: grp.getgrnam(name).gr_gid)


def become(uid: int | None, gid: int | None) -> None:
    """Give up root for good, as uWSGI will have done before it listens.

    Only root can; for others this does nothing, as for uWSGI. Without `uid` root stays.
    """
    if os.geteuid() != 0 or uid is None:
        return
    group = os.getgid() if gid is None else gid
    os.setgroups(os.getgrouplist(name_of(uid), group) if has_name(uid) else [group])
    os.setgid(group)
    os.setuid(uid)


def has_name(uid: int) -> bool:
    """Tell whether the machine knows the user `uid`."""
    return name_of(uid) != str(uid)


def name_of(uid: int) -> str:
    """Return the name of the user `uid`; the number if the machine has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _read(
    environment: Mapping[str, str],
    option: str,
    kind: str,
    makes_one: str,
    number_of: Callable[[str], int],
) -> int | None:
    text = ini.seen(environment, option) or ""
    try:
        if not text or text.isdigit():
            return int(text) if text else None
        return number_of(text)
    except KeyError as error:
        raise ConfigError(
            f"{option} = {text} is not a {kind} of this machine; make one"
            f" ({makes_one} --system {text})"
        ) from error
