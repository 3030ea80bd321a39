"""The real uWSGI keeps the contract that its fake is held to."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.support.cache_contract import ITEMS, KEY_BYTES, VALUE_BYTES, CacheContract
from tests.support.raw_client import RawClient
from tests.support.uwsgi import REPOSITORY, Uwsgi
from vpnws.server.uwsgi import FDB_CACHE

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.live

_APP = """
import json, traceback
from tests.support.cache_contract import CacheContract
from vpnws.server.uwsgi_api import UwsgiApi
def outcome(check):
    try:
        getattr(CacheContract(UwsgiApi()), check)()
    except AssertionError:
        return traceback.format_exc()
    return "kept"
def application(environ, start_response):
    body = json.dumps({check: outcome(check) for check in CacheContract.checks()}).encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
"""
_INI = f"""
[uwsgi]
master = true
processes = 1
need-app = true
die-on-term = true
vacuum = true
chdir = %d
pythonpath = {REPOSITORY}
wsgi-file = checks.py
cache2 = name={FDB_CACHE},items={ITEMS},keysize={KEY_BYTES},blocksize={VALUE_BYTES}
socket = %(vpnws-socket)
http-socket = %(vpnws-http)
"""


def test_the_real_cache_keeps_the_contract(tmp_path: Path) -> None:
    (tmp_path / "checks.py").write_text(_APP)
    ini = tmp_path / "checks.ini"
    ini.write_text(_INI)
    with Uwsgi(ini=ini) as server, RawClient(*server.http_address) as client:
        answer = client.request()
    assert json.loads(answer.body) == dict.fromkeys(CacheContract.checks(), "kept")
