"""Every route of the API."""

from __future__ import annotations

from typing import Final

from vpnws.control.api import (
    capture,
    doctor,
    events,
    leases,
    macs,
    networks,
    openapi,
    pins,
    ports,
    rules,
    server,
    trace,
)
from vpnws.control.calls import Call, Response, Route

_SUBJECTS: Final = (
    *server.ROUTES,
    *ports.ROUTES,
    *events.ROUTES,
    *macs.ROUTES,
    *leases.ROUTES,
    *pins.ROUTES,
    *networks.ROUTES,
    *rules.ROUTES,
    *trace.ROUTES,
    *doctor.ROUTES,
    *capture.ROUTES,
)


def get_description(_call: Call) -> Response:
    """Answer with the description of the API."""
    return Response(openapi.describe(ROUTES))


ROUTES: Final = (
    *_SUBJECTS,
    Route("GET", "openapi.json", get_description, "Describes this API (OpenAPI 3.1).", None),
)
"""In the order of the documentation. A new subject's routes go into `_SUBJECTS`."""
