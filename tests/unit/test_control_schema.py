"""The API is as it is described: schemathesis sends what the description allows, and what not."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import (
    content_type_conformance,
    not_a_server_error,
    response_schema_conformance,
    status_code_conformance,
)

from tests.fakes.control import Operator
from tests.fakes.house import House
from vpnws.control.api.openapi import describe
from vpnws.control.api.routes import ROUTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
STREAMS = r"^/(stream|capture)$"
"""Answers without an end; they have tests of their own."""


class Behind:
    """The web server in front of `house`: passes requests on to its control location."""

    house: House

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., object]
    ) -> Iterable[bytes]:
        """Serve one request (PEP 3333)."""
        operator = Operator(self.house)
        environ["HTTP_X_VPNWS_TOKEN"] = operator.get("token")["token"]
        environ["PATH_INFO"] = f"/vpn_admin/api/v1/{environ['PATH_INFO'].lstrip('./')}"
        environ["VPNWS_ENDPOINT"] = "control"
        environ["REMOTE_USER"] = operator.user
        environ["HTTP_HOST"] = "vpn.example"
        request = operator.finish(operator.pass_on(environ))
        start_response(request.status, request.headers)
        return [request.body]


behind = Behind()
schema = schemathesis.openapi.from_dict(json.loads(describe(ROUTES)))
schema.app = behind


@pytest.fixture(scope="module", autouse=True)
def house() -> Iterator[House]:
    with House(workers=2, tap="lan:tap9") as built:
        behind.house = built
        for user in ("ada", "bob"):
            built.connect(1, network="lan", REMOTE_USER=user, HTTP_X_VPN_WS_MAC="02:00:00:00:00:0a")
        yield built


@schema.exclude(path_regex=STREAMS).parametrize()
@settings(
    max_examples=30,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow],
)
def test_every_answer_is_as_described(case: schemathesis.Case[Any]) -> None:
    case.call_and_validate(checks=CHECKS)
