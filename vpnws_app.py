"""The module that uwsgi.ini names: builds the server's parts and binds them."""

from vpnws.server.start import start
from vpnws.server.uplink.mule import Mule
from vpnws.server.web.app import Application

_server = start()
application = Application(_server)
mule = Mule(_server)
