"""The module that uwsgi.ini names: builds the server's parts and binds them."""

import os

from vpnws.server.gevent_loop import GeventLoop
from vpnws.server.hooks.mule import HooksMule
from vpnws.server.processes import Siblings
from vpnws.server.socket_file import SocketFile
from vpnws.server.start import start
from vpnws.server.uplink.mule import Mule
from vpnws.server.uwsgi_api import UwsgiApi
from vpnws.server.watchdog import Watchdog
from vpnws.server.web.app import Application
from vpnws.tap import linux

_server = start(GeventLoop(), UwsgiApi(), linux, os.environ)
application = Application(_server)
mule = Mule(_server)
watchdog = Watchdog(_server, Siblings(), SocketFile(_server.settings.socket, os.environ))
hooks = HooksMule(_server)
