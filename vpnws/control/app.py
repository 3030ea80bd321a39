"""The control location as a WSGI application: finds the route, reads the request, answers."""

from __future__ import annotations

import logging
from dataclasses import replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, TypeAlias
from urllib.parse import parse_qs

from vpnws.control import seed
from vpnws.control.api.live import LiveHub
from vpnws.control.api.routes import ROUTES
from vpnws.control.asks import AskError
from vpnws.control.calls import (
    Call,
    CallError,
    ErrorView,
    Response,
    Route,
    to_json,
)
from vpnws.control.captures import Captures
from vpnws.control.crosssite import check_token, make_token, refuse_other_sites, refuse_unclear
from vpnws.control.metrics.scrape import get_metrics
from vpnws.control.page.serve import find_page
from vpnws.control.reading import read_body, read_query
from vpnws.control.under_way import MAX_REQUESTS, Answer, UnderWay
from vpnws.text import MAX_VALUE_CHARACTERS, one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from vpnws.control.about import About
    from vpnws.control.asks import Peers
    from vpnws.control.caller import Caller

API: Final = "/api/v1/"
METRICS: Final = "/metrics"
_HEADERS: Final = (
    ("Cache-Control", "no-store"),
    ("X-Content-Type-Options", "nosniff"),
    ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
    ("Referrer-Policy", "same-origin"),
)
_TOO_MANY: Final = Response(
    to_json(ErrorView("too many requests are under way: close some pages, and try again")).body,
    status=503,
    headers=(("Retry-After", "1"),),
)
StartResponse: TypeAlias = "Callable[[str, list[tuple[str, str]]], Callable[[bytes], object]]"

log = logging.getLogger("vpnws")


class ControlApp:
    """Answers requests that the web server has granted `VPNWS_ENDPOINT control`."""

    def __init__(
        self,
        peers: Peers,
        about: About,
        secret: bytes,
        open_caller: Callable[[], Caller],
        limit: int = MAX_REQUESTS,
    ) -> None:
        """`peers` are the server's processes; `secret` is known to them alone.

        `open_caller` returns whoever sent the current request; a stream calls it. `limit` is how
        many requests may be under way.
        """
        self._under_way = UnderWay(limit)
        self._peers = peers
        self._about = about
        self._secret = secret
        self._open_caller = open_caller
        self._live = LiveHub(peers, about)
        self._captures = Captures(peers, about)

    def __call__(
        self, environ: Mapping[str, Any], start_response: StartResponse
    ) -> Iterable[bytes]:
        """Serve one request (PEP 3333)."""
        is_head = environ.get("REQUEST_METHOD") == "HEAD"
        if not self._under_way.begin():
            return _send(_TOO_MANY, start_response, is_head)
        try:
            response = self._judge(environ)
            return Answer(_send(response, start_response, is_head), self._under_way.end)
        except BaseException:
            self._under_way.end()
            raise

    def _judge(self, environ: Mapping[str, Any]) -> Response:
        try:
            return self._answer(environ)
        except (CallError, AskError) as error:
            return to_json(ErrorView(str(error)), error.status)

    def _answer(self, environ: Mapping[str, Any]) -> Response:
        path, method = environ.get("PATH_INFO", ""), environ.get("REQUEST_METHOD", "")
        user = environ.get("REMOTE_USER", "")
        call = Call(
            self._peers,
            self._about,
            self._open_caller,
            self._live,
            self._captures,
            by=one_line(user, max_characters=MAX_VALUE_CHARACTERS),
            token=make_token(self._secret, user),
            accept=environ.get("HTTP_ACCEPT", ""),
        )
        at = path.rfind(API)
        if at >= 0:
            refuse_other_sites(environ, is_page=False)
            return _answer_api(call, environ, method, path[at + len(API) :])
        if path.endswith(METRICS):
            refuse_other_sites(environ, is_page=False)
            return _answer_metrics(call, method)
        return _answer_root(call, environ, method)


def _answer_metrics(call: Call, method: str) -> Response:
    if method not in ("GET", "HEAD"):
        raise CallError("metrics are to be read: here is GET only", 405)
    return get_metrics(call)


def _answer_root(call: Call, environ: Mapping[str, Any], method: str) -> Response:
    if method not in ("GET", "HEAD"):
        raise CallError("here is GET only: changes go to api/v1", 405)
    kill = parse_qs(environ.get("QUERY_STRING", ""), keep_blank_values=True).get("kill")
    refuse_other_sites(environ, is_page=kill is None)
    if kill is not None:
        refuse_unclear(environ)
        return seed.kill(call, kill[0])
    return find_page(environ) or seed.list_peers(call)


def _answer_api(call: Call, environ: Mapping[str, Any], method: str, path: str) -> Response:
    words = path.strip("/").split("/")
    found = [(route, named) for route in ROUTES if (named := route.match(words)) is not None]
    wanted = "GET" if method == "HEAD" else method
    for route, named in found:
        if route.method == wanted:
            return _call(route, call, environ, named)
    if found:
        allowed = ", ".join(sorted({route.method for route, _ in found}))
        raise CallError(f"{method[:16]} is not allowed here: {allowed} is", 405)
    raise CallError("there is nothing here: api/v1/openapi.json has all paths", 404)


def _call(route: Route, call: Call, environ: Mapping[str, Any], named: dict[str, str]) -> Response:
    if route.is_change:
        check_token(environ, call.token)
    answer = route.handler(
        replace(
            call,
            path=named,
            query=read_query(route.query, environ.get("QUERY_STRING", "")),
            body=read_body(route.body, environ),
        )
    )
    return answer if isinstance(answer, Response) else to_json(answer)


def _send(response: Response, start_response: StartResponse, is_head: bool) -> Iterable[bytes]:
    status = f"{response.status} {HTTPStatus(response.status).phrase}"
    given = {name for name, _ in response.headers}
    headers = [("Content-Type", response.content_type), *response.headers]
    headers += [header for header in _HEADERS if header[0] not in given]
    body = response.body
    if isinstance(body, bytes):
        headers.append(("Content-Length", str(len(body))))
        start_response(status, headers)
        return () if is_head else (body,)
    start_response(status, headers)
    if is_head:
        body.close()
        return ()
    return body
