"""Recognizes answers of something that stands in for the server: login pages, other web pages."""

from __future__ import annotations

import re
from html import unescape
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from vpnws.client.connect.heads import NETWORK_AUTHENTICATION_REQUIRED, location_of
from vpnws.client.connect.url import hide_userinfo
from vpnws.text import one_line

if TYPE_CHECKING:
    from vpnws.client.connect.asked import Asked

MAX_TITLE_CHARACTERS: Final = 60
"""A longer title of a web page is cut off here."""
UPGRADE_REQUIRED: Final = 426
_TITLE: Final = re.compile(r"<title[^>]*>([^<]*)<", re.IGNORECASE)
_HTML: Final = re.compile(r"\s*<(!doctype html|html|head|body)\b", re.IGNORECASE)
_HTML_TYPE: Final = re.compile(rb"\r\ncontent-type:[ \t]*text/html", re.IGNORECASE)


def reason(status: int, head: bytes, text: str, asked: Asked) -> str:
    """Return who seems to have answered with `status`, and what to do; empty if nobody strange.

    `text` is the body as far as it is known.
    """
    if status == NETWORK_AUTHENTICATION_REQUIRED:
        return f"this network wants a login first: {_open_in_a_browser(location_of(head), asked)}"
    if 300 <= status < 400:
        return _redirected(location_of(head), asked)
    if status < 300 and (_HTML.match(text) or _HTML_TYPE.search(head)):
        return _a_page(text, asked)
    if status == UPGRADE_REQUIRED:
        return _without_upgrade(asked)
    return ""


def _without_upgrade(asked: Asked) -> str:
    remover = "such as a web server in front that does not pass upgrades on"
    if not _is_trusted(asked):
        remover += ", or a proxy of this network, which wss:// would keep out"
    return (
        "the request to upgrade arrived without its header Upgrade: something on the way removed"
        f" it, {remover}"
    )


def _redirected(target: str, asked: Asked) -> str:
    """Return what a redirection to `target` means."""
    where = f", to {_shown(target)}" if target else ""
    place = urlsplit(target)
    if place.hostname is None or place.hostname == asked.host or _is_trusted(asked):
        wanted = "; it seems to want TLS: use wss://" if _wants_tls(target, asked) else ""
        return f"the server points elsewhere{where}: give the final URL{wanted}"
    return (
        f"the answer points to another host{where}: either that is the server's new place, or this"
        f" network wants a login first: {_open_in_a_browser(target, asked)}"
    )


def _a_page(text: str, asked: Asked) -> str:
    found = _TITLE.search(text)
    title = (
        one_line(unescape(found[1]).strip(), max_characters=MAX_TITLE_CHARACTERS) if found else ""
    )
    what = f'a web page ("{title}")' if title else "a web page"
    if _is_trusted(asked):
        return f"the server answers with {what}: is the URL's path right?"
    return (
        f"{what} came in place of the switch's answer: either the URL's path is wrong, or this"
        f" network wants a login first: {_open_in_a_browser('', asked)}"
    )


def _open_in_a_browser(target: str, asked: Asked) -> str:
    place = _shown(target) if target else f"http://{asked.host}/"
    return f"open {place} in a browser on this machine"


def _is_trusted(asked: Asked) -> bool:
    """Return whether nobody but the server can have answered."""
    return asked.secure and asked.is_verified


def _wants_tls(target: str, asked: Asked) -> bool:
    return not asked.secure and target.startswith("https:")


def _shown(target: str) -> str:
    """Return a URL from a stranger without what may be secret in it."""
    return one_line(hide_userinfo(target).partition("?")[0])
