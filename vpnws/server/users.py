"""The user and the group that uWSGI becomes: its options uid and gid, read as uWSGI reads them."""

from __future__ import annotations

import grp
import os
import pwd
from typing import TYPE_CHECKING

from vpnws.errors import ConfigError
from vpnws.server import ini

if TYPE_CHECKING:
    from collections.abc import Mapping


def read_uid(environment: Mapping[str, str]) -> int | None:
    """Return the user of uWSGI's option uid, a number or a name; None if it is not set.

    Raises ConfigError if there is no such user.
    """
    text = ini.seen(environment, "uid") or ""
    try:
        return _number(text) if not text or text.isdigit() else pwd.getpwnam(text).pw_uid
    except KeyError as error:
        raise ConfigError(
            f"uid = {text} is not a user of this machine; make one (useradd --system {text})"
        ) from error


def read_gid(environment: Mapping[str, str]) -> int | None:
    """Return the group of uWSGI's option gid; None if it is not set. Raises ConfigError."""
    text = ini.seen(environment, "gid") or ""
    try:
        return _number(text) if not text or text.isdigit() else grp.getgrnam(text).gr_gid
    except KeyError as error:
        raise ConfigError(
            f"gid = {text} is not a group of this machine; make one (groupadd --system {text})"
        ) from error


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


def _number(text: str) -> int | None:
    return int(text) if text else None
