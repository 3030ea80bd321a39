"""Answers requests for the live page and its files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from vpnws.control.calls import CallError, Response
from vpnws.control.page.files import PageFiles

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vpnws.control.page.files import PageFile

PAGE: Final = "/page/"
_FILES: Final = PageFiles()


def find_page(environ: Mapping[str, str]) -> Response | None:
    """Return the page or one of its files; None if the request is not about the page.

    The page is whatever is asked for as HTML; its files are below `page/`. Raises CallError for a
    file that the page does not have.
    """
    path = environ.get("PATH_INFO", "")
    at = path.rfind(PAGE)
    if at >= 0:
        return _answer(_find(path[at + len(PAGE) :]), environ)
    if "text/html" not in environ.get("HTTP_ACCEPT", ""):
        return None
    return _answer(_FILES.index(), environ) if path.endswith("/") else _redirect(path)


def _find(name: str) -> PageFile:
    found = _FILES.find(name)
    if found is None:
        raise CallError("the page has no such file: open the page itself", 404)
    return found


def _answer(file: PageFile, environ: Mapping[str, str]) -> Response:
    if file.is_known(environ.get("HTTP_IF_NONE_MATCH", "")):
        return Response(b"", file.content_type, 304, file.headers())
    return Response(file.body, file.content_type, 200, file.headers())


def _redirect(path: str) -> Response:
    """Lead to the same location with a slash at its end, which the page's relative URLs need."""
    name = path.rpartition("/")[2]
    return Response(status=308, headers=(("Location", f"./{quote(name)}/"),))
