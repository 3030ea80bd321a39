"""The module that uwsgi.ini names: builds the server's parts and binds them."""

import os

from vpnws.server.gevent_loop import GeventLoop
from vpnws.server.start import start
from vpnws.server.uplink.mule import Mule
from vpnws.server.uwsgi_api import UwsgiApi
from vpnws.server.web.app import Application
from vpnws.tap import linux

_server = start(GeventLoop(), UwsgiApi(), linux, os.environ)
application = Application(_server)
mule = Mule(_server)
