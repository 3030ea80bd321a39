"""Refuses requests that another web site has caused: a browser sends the operator's password along.

A browser says where a request comes from in Sec-Fetch-Site (Fetch Metadata) and, when it changes
something, in Origin. Programs send neither. A change through the API must carry a token besides,
which another site cannot read. vpn-ws's `?kill=` is a GET without a token, so for that a browser
must say that the request is not another site's.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from vpnws.control.calls import CallError

if TYPE_CHECKING:
    from collections.abc import Mapping

TOKEN_HEADER: Final = "X-vpnws-token"  # noqa: S105
_OWN: Final = ("same-origin", "none")
_REMEDY: Final = "open the control page itself, or use vpnws-ctl"


def make_token(secret: bytes, user: str) -> str:
    """Return what a change by `user` must carry; `secret` is the server's."""
    return hmac.digest(
        secret, b"control token of " + user.encode(errors="surrogateescape"), "sha256"
    ).hex()


def refuse_other_sites(environ: Mapping[str, str], *, is_page: bool) -> None:
    """Refuse a request that another site caused. Raises CallError.

    `is_page` says that the request only opens the page: a link from elsewhere may do that.
    """
    site = environ.get("HTTP_SEC_FETCH_SITE", "none")
    if site not in _OWN and not (is_page and environ.get("HTTP_SEC_FETCH_MODE") == "navigate"):
        raise CallError(f"another site caused this request: {_REMEDY}", 403)
    origin = environ.get("HTTP_ORIGIN")
    if origin is not None and not _is_own(origin, environ):
        raise CallError(f"another site caused this request ({origin[:80]!r}): {_REMEDY}", 403)


def refuse_unclear(environ: Mapping[str, str]) -> None:
    """Refuse a change by GET from a browser that does not say whose request it is.

    Raises CallError.
    """
    referrer = environ.get("HTTP_REFERER")
    is_browser = environ.get("HTTP_USER_AGENT", "").startswith("Mozilla/")
    says = "HTTP_SEC_FETCH_SITE" in environ
    if (referrer and not _is_own(referrer, environ)) or (is_browser and not says and not referrer):
        raise CallError(f"this may be another site's request: {_REMEDY}", 403)


def check_token(environ: Mapping[str, str], token: str) -> None:
    """See that a change carries the token. Raises CallError."""
    given = environ.get("HTTP_X_VPNWS_TOKEN", "")
    if not hmac.compare_digest(given.encode(errors="replace"), token.encode()):
        raise CallError(
            f"a change needs the header {TOKEN_HEADER} with the token that GET api/v1/token gives",
            403,
        )


def _is_own(url: str, environ: Mapping[str, str]) -> bool:
    try:
        host = urlsplit(url).netloc.rpartition("@")[2]
    except ValueError:
        return False
    return bool(host) and host.lower() == environ.get("HTTP_HOST", "").lower()
