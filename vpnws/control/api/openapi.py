"""Describes the routes of the API as an OpenAPI 3.1 document, from the types that they use."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import msgspec

from vpnws import __version__
from vpnws.control.calls import JSON, ErrorView, Route
from vpnws.control.crosssite import TOKEN_HEADER

if TYPE_CHECKING:
    from collections.abc import Iterable

_REF: Final = "#/components/schemas/{name}"
_STRING: Final = {"type": "string"}
_ERRORS: Final = {
    "400": "The query or the body does not fit.",
    "403": "Another site caused the request, or the token is missing.",
    "404": "There is nothing by that name.",
    "409": "It cannot be done now.",
    "413": "The body is too long.",
    "415": "The body is not JSON.",
    "500": "The server failed; its log says how.",
    "503": "A process did not answer in time.",
}


def describe(routes: Iterable[Route]) -> bytes:
    """Return the document as JSON."""
    routes = tuple(routes)
    types = [type_ for route in routes for type_ in (route.answer, route.body) if type_ is not None]
    schemas, components = msgspec.json.schema_components([*types, ErrorView], ref_template=_REF)
    by_type = dict(zip([*types, ErrorView], schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(f"/{route.path}", {})[route.method.lower()] = _operation(route, by_type)
    return msgspec.json.encode(
        {
            "openapi": "3.1.0",
            "info": {"title": "vpnws control", "version": __version__},
            "servers": [{"url": "."}],
            "paths": paths,
            "components": {"schemas": components},
        }
    )


def _operation(route: Route, by_type: dict[Any, dict[str, Any]]) -> dict[str, Any]:
    error = {JSON: {"schema": by_type[ErrorView]}}
    answer = {route.content_type: {"schema": by_type.get(route.answer, {})}}
    operation: dict[str, Any] = {
        "summary": route.summary,
        "operationId": f"{route.method.lower()} {route.path}",
        "parameters": _parameters(route),
        "responses": {
            "200": {"description": "Done.", "content": answer},
            **{code: {"description": why, "content": error} for code, why in _ERRORS.items()},
        },
    }
    if route.body is not None:
        operation["requestBody"] = {"content": {JSON: {"schema": by_type[route.body]}}}
    return operation


def _parameters(route: Route) -> list[dict[str, Any]]:
    found = [
        {"name": name, "in": "path", "required": True, "schema": _STRING}
        for name in re.findall(r"\{(\w+)\}", route.path)
    ]
    if route.query is not None:
        _, components = msgspec.json.schema_components([route.query], ref_template=_REF)
        fields = components[route.query.__name__]["properties"]
        found += [
            {"name": name, "in": "query", "schema": schema} for name, schema in fields.items()
        ]
    if route.is_change:
        found.append({"name": TOKEN_HEADER, "in": "header", "required": True, "schema": _STRING})
    return found
